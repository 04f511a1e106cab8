//! Which columns of a dataset become metadata where nobody says.

use serde::Deserialize;

use crate::client::Client;
use crate::failure::Failure;

/// A wide dataset is not copied whole into the memory of an index.
const COLUMNS_MAX: usize = 16;

#[derive(Deserialize)]
struct Dataset {
    schema: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The columns that the text is made of, as results are to say what was found, then those that a filter can
/// use: flat ones, in their order, up to [`COLUMNS_MAX`].
pub(super) async fn default(client: &Client, dataset: &str, id: &str, text: &str) -> Result<Vec<String>, Failure> {
    let found: Dataset = client.json(client.get(&["v1", "catalog", "datasets", dataset])).await?;
    Ok(chosen(&found.schema, id, text))
}

fn chosen(schema: &[Field], id: &str, text: &str) -> Vec<String> {
    let in_text = named_in(text);
    let (used, others): (Vec<_>, Vec<_>) =
        schema.iter().filter(|field| field.name != id).partition(|field| in_text.contains(&field.name.as_str()));
    let flat = others.into_iter().filter(|field| is_flat(&field.kind));
    let room = COLUMNS_MAX.saturating_sub(used.len());
    let names: Vec<&str> = used.into_iter().chain(flat.take(room)).map(|field| field.name.as_str()).collect();
    // As they stand in the dataset.
    schema.iter().map(|field| &field.name).filter(|name| names.contains(&name.as_str())).cloned().collect()
}

/// `role` and `city` of `{role} in {city}`; `{{` is a brace.
fn named_in(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        if let Some(after) = after.strip_prefix('{') {
            rest = after;
            continue;
        }
        // What is not closed is the server's to refuse.
        let Some((name, after)) = after.split_once('}') else { break };
        names.push(name);
        rest = after;
    }
    names
}

/// Neither nested nor bytes.
fn is_flat(kind: &str) -> bool {
    let nested = ["STRUCT", "MAP", "UNION", "BLOB", "BIT"];
    !kind.ends_with(']') && !nested.iter().any(|start| kind.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, &str)]) -> Vec<Field> {
        columns.iter().map(|&(name, kind)| Field { name: name.into(), kind: kind.into() }).collect()
    }

    #[test]
    fn what_stands_in_braces_is_a_column() {
        assert_eq!(named_in("{role} in {city}: {{{summary}}} {{id}}"), ["role", "city", "summary"]);
        assert_eq!(named_in("plain } {open"), Vec::<&str>::new());
    }

    #[test]
    fn metadata_is_what_the_text_uses_and_what_a_filter_can_use() {
        let crew = schema(&[
            ("id", "BIGINT"),
            ("pay", "DECIMAL(9,2)"),
            ("tags", "VARCHAR[]"),
            ("role", "VARCHAR"),
            ("photo", "BLOB"),
            ("home", "STRUCT(city VARCHAR)"),
            ("skills", "VARCHAR[]"),
        ]);
        assert_eq!(chosen(&crew, "id", "{role} with {skills}"), ["pay", "role", "skills"]);
    }

    #[test]
    fn a_wide_dataset_gives_the_text_first() {
        let names: Vec<String> = (0..50).map(|i| format!("c{i}")).collect();
        let wide: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "BIGINT")).collect();
        let chosen = chosen(&schema(&wide), "c0", "{c49} {c3}");
        assert_eq!((chosen.len(), chosen[0].as_str(), chosen[15].as_str()), (16, "c1", "c49"));
    }
}
