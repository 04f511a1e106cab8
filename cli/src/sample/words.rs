//! The word lists, read once.

use serde::Deserialize;

const TEXT: &str = include_str!("words.toml");

/// Why the lists that were compiled in cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WordsError {
    #[error("the sample's word lists: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the sample's word lists: {0:?} is not `STATE SHARE: CITY, …`")]
    State(String),
}

/// A trade: what is paid, done and said in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) title: String,
    weight: usize,
    /// Dollars an hour: lowest, highest.
    pub(crate) pay: [u32; 2],
    pub(crate) settings: Vec<String>,
    pub(crate) skills: Vec<String>,
    pub(crate) certifications: Vec<String>,
    pub(crate) strengths: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) code: String,
    pub(crate) cities: Vec<String>,
}

/// Everything a worker is made of. None of the lists is empty: a test says so.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) first_names: Vec<String>,
    pub(crate) last_names: Vec<String>,
    pub(crate) states: Vec<State>,
    /// Indices into `states`, each as often as its share: a uniform draw is a weighted one.
    pub(crate) state_shares: Vec<usize>,
    pub(crate) roles: Vec<Role>,
    pub(crate) role_shares: Vec<usize>,
    pub(crate) availability: Vec<String>,
    pub(crate) openings: Vec<String>,
    pub(crate) closings: Vec<String>,
    pub(crate) somebodies: Vec<String>,
    pub(crate) wants: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    first_names: String,
    last_names: String,
    cities: String,
    availability: String,
    openings: Vec<String>,
    closings: Vec<String>,
    somebodies: String,
    wants: String,
    roles: Vec<Role>,
}

impl Words {
    pub(crate) fn load() -> Result<Self, WordsError> {
        let raw: Raw = toml::from_str(TEXT)?;
        let parsed: Vec<(State, usize)> = raw.cities.lines().map(state).collect::<Result<_, _>>()?;
        let state_shares = shares(parsed.iter().map(|(_, share)| *share));
        Ok(Words {
            first_names: raw.first_names.split_whitespace().map(str::to_owned).collect(),
            last_names: raw.last_names.split_whitespace().map(str::to_owned).collect(),
            states: parsed.into_iter().map(|(state, _)| state).collect(),
            state_shares,
            role_shares: shares(raw.roles.iter().map(|role| role.weight)),
            roles: raw.roles,
            availability: lines(&raw.availability),
            openings: raw.openings,
            closings: raw.closings,
            somebodies: lines(&raw.somebodies),
            wants: lines(&raw.wants),
        })
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn shares(weights: impl Iterator<Item = usize>) -> Vec<usize> {
    weights.enumerate().flat_map(|(i, weight)| std::iter::repeat_n(i, weight)).collect()
}

/// `IL 14: Chicago, Joliet`
fn state(line: &str) -> Result<(State, usize), WordsError> {
    let wrong = || WordsError::State(line.to_owned());
    let (head, cities) = line.split_once(": ").ok_or_else(wrong)?;
    let (code, share) = head.split_once(' ').ok_or_else(wrong)?;
    let cities = cities.split(", ").map(str::to_owned).collect();
    Ok((State { code: code.to_owned(), cities }, share.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_words_that_need_no_escaping() {
        let words = Words::load().unwrap();
        let mut lists = vec![&words.first_names, &words.last_names, &words.availability, &words.openings];
        lists.extend([&words.closings, &words.somebodies, &words.wants]);
        lists.extend(words.states.iter().map(|s| &s.cities));
        lists.extend(words.roles.iter().flat_map(|r| [&r.settings, &r.skills, &r.certifications, &r.strengths]));
        for list in lists {
            assert!(!list.is_empty());
            for word in list {
                let plain = word.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
                assert!(plain && !word.is_empty() && !word.contains(';') || word.contains("; "), "{word:?}");
            }
        }
        assert!(words.states.iter().all(|s| s.code.len() == 2));
        assert!(words.roles.len() >= 25 && words.roles.iter().all(|r| r.pay[0] < r.pay[1]));
    }
}
