//! Indexes and searches from the command line.

use crate::platform::{Platform, text};

const CREW: &str = "id,role,city,state,pay,tags
1,welder,Chicago,IL,31.5,\"a, b\"
2,forklift operator,Joliet,IL,22,
3,registered nurse,Springfield,IL,44,night
4,welder,Austin,TX,29,
";

fn with_crew() -> Platform {
    let platform = Platform::start(&[]);
    let file = platform.write("crew.csv", CREW);
    platform.ok(&["ingest", &file]);
    platform
}

#[test]
fn an_index_of_a_dataset_is_made_searched_shown_and_deleted() {
    let platform = with_crew();
    let create = ["index", "create", "crew_idx", "--dataset", "crew", "--text", "{role} in {city}"];
    let output = platform.run(&create);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let start = "crew_idx: 4 items at version 1 of crew, all-MiniLM-L6-v2, 384 dimensions (";
    assert!(told.starts_with(start) && told.ends_with(" s)\n"), "{told}");
    assert!(output.stderr.is_empty(), "no progress bar without a terminal: {}", text(&output.stderr));

    let csv = platform.ok(&["search", "crew_idx", "somebody who joins metal", "--k", "2"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "rank,score,id,role,city,state,pay,tags"), "{csv}");
    assert!(lines[1].starts_with("1,0.") && lines[1].contains(",welder,"), "{csv}");
    let table = platform.ok(&[
        "search",
        "crew_idx",
        "welder",
        "--filter",
        r#"{"state": "IL"}"#,
        "--columns",
        "role,tags",
        "--format",
        "table",
    ]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("rank   score  id  role"), "{table}");
    assert!(lines.len() == 5 && lines[2].ends_with("  1   welder             a, b"), "{table}");
    let json = platform.ok(&["search", "crew_idx", "--like", "3", "--k", "1", "--format", "json"]);
    assert!(json.starts_with("{\"results\":[{\"id\":\"3\"") && json.ends_with("}\n"), "{json}");
    assert_eq!(platform.ok(&["search", "crew_idx", "welder", "--min-score", "0.99"]), "rank,score,id\n");

    let listed = platform.ok(&["index", "list"]);
    let line: Vec<&str> = listed.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(line, ["crew_idx", "current", "4", "384", "cosine", "all-MiniLM-L6-v2", "crew", "1"]);
    let shown = platform.ok(&["index", "show", "crew_idx"]);
    for fact in ["dataset      crew, by id\n", "text         {role} in {city}\n", "following    current, version 1\n"] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    assert_eq!(platform.ok(&["index", "delete", "crew_idx"]), "");
    assert_eq!(platform.ok(&["index", "list", "--json"]), "");
}

#[test]
fn an_index_follows_and_can_be_waited_for() {
    let platform = with_crew();
    let create = ["index", "create", "i", "--dataset", "crew", "--text", "{role}", "--metadata", "state", "--no-wait"];
    assert_eq!(platform.ok(&create), "i: made; it is filled from crew (lakehouse index wait i)\n");
    let more = platform.write("more.csv", "id,role,city,state,pay,tags\n5,pastry chef,Peoria,IL,24,\n");
    platform.ok(&["ingest", &more, "--name", "crew", "--mode", "append"]);
    let told = platform.ok(&["index", "wait", "i", "--timeout", "2m"]);
    assert!(told.starts_with("i: 5 items at version 2 of crew"), "{told}");
    let found = platform.ok(&["search", "i", "baker of cakes", "--k", "1"]);
    let (head, hit) = found.trim().split_once('\n').unwrap();
    assert_eq!((head, hit.split(',').nth(2)), ("rank,score,id,state", Some("5")));
    let joined = "SELECT c.role FROM vector_search('i', 'bakes', k := 1) s JOIN crew c ON c.id::VARCHAR = s.id";
    assert_eq!(platform.ok(&["sql", joined]), "role\npastry chef\n");
}

#[test]
fn what_cannot_be_brought_in_is_a_failure_that_says_why() {
    let platform = with_crew();
    let twice = ["index", "create", "twice", "--dataset", "crew", "--id", "state", "--text", "{role}"];
    let output = platform.run(&twice);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: version 1 of crew cannot be brought in: ") && error.contains("IL"), "{error}");
    platform.ok(&["index", "create", "plain", "--dimension", "2"]);
    let output = platform.run(&["index", "wait", "plain"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(2), "error: plain follows no dataset\n"));
}

#[test]
fn vectors_are_searched_too() {
    let platform = Platform::start(&[]);
    let made = platform.ok(&["index", "create", "v", "--dimension", "2", "--distance", "l2", "--m", "8", "--json"]);
    assert!(made.contains("\"distance\":\"l2\"") && made.contains("\"m\":8"), "{made}");
    let file = platform.write("v.ndjson", "{\"id\": \"a\", \"v\": [1, 0]}\n{\"id\": \"b\", \"v\": [0, 1]}\n");
    platform.ok(&["ingest", &file]);
    let import = r#"{"dataset": "v", "id_column": "id", "vector_column": "v"}"#;
    platform.shell(&format!(
        "curl -sf \"$LAKEHOUSE_URL/v1/vectors/index/v/import\" -d '{import}' &&
         until lakehouse search v --vector '[0, 1]' | grep -q '^2,'; do :; done"
    ));
    assert_eq!(platform.ok(&["search", "v", "--vector", "[0, 1]", "-k", "1"]), "rank,score,id\n1,-0.0,b\n");
}

#[test]
fn the_demo_works_twice_and_its_lines_can_be_typed() {
    let platform = Platform::start(&[]);
    let first = platform.ok(&["demo", "--rows", "200"]);
    assert!(first.contains("demo_workers: 200 rows\n"), "{first}");
    assert!(first.contains("demo_workers_idx: 200 items at version 1 of demo_workers"), "{first}");
    // A head, a rule and three results of each search.
    assert_eq!(first.matches("rank   score  id").count(), 3, "{first}");
    let joined: Vec<&str> = first.lines().skip_while(|line| !line.starts_with("name ")).skip(2).collect();
    assert!(joined.iter().take_while(|line| !line.starts_with('(')).count() > 1, "{first}");

    let second = platform.ok(&["demo", "--rows", "300"]);
    assert!(second.contains("demo_workers_idx: 200 items at version 1"), "works on what is there: {second}");
    let untimed = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with("A search")).filter(|line| !line.ends_with(" s)"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(untimed(&first), untimed(&second));
    // The statement goes over several lines.
    let typed: Vec<&str> = second.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(typed.len() == 6 && typed[5].starts_with("lakehouse sql "), "{second}");
    typed[..5].iter().for_each(|line| assert!(!platform.shell(line).is_empty(), "{line}"));
}
