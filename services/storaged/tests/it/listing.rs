//! Listings.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::{Backend, Storage, json, refusal};

fn texts(array: &Value) -> Vec<String> {
    let text = |item: &Value| item.get("key").unwrap_or(item).as_str().unwrap().to_owned();
    array.as_array().unwrap().iter().map(text).collect()
}

/// Every key and prefix, page by page.
async fn all(storage: &Storage, query: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = storage.list(&format!("{query}{cursor}")).await;
        keys.extend(texts(&page["objects"]));
        prefixes.extend(texts(&page["prefixes"]));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (keys, prefixes),
        }
    }
}

pub(crate) async fn pages_go_through_all_keys_in_order(storage: &Storage) {
    let mut keys: Vec<String> = (0..9).map(|n| format!("pages/{}/{n}.txt", n % 3)).collect();
    // Around `/` in byte order.
    keys.extend(["pages/a!b", "pages/a.b", "pages/a0", "pages/b/c", "pages/b/c!d"].map(str::to_owned));
    for key in &keys {
        assert!(storage.put(key, key.clone()).await.status().is_success());
    }
    keys.sort_unstable();
    for limit in [1, 2, 5, 14, 15, 100] {
        let (mut listed, prefixes) = all(storage, &format!("prefix=pages/&limit={limit}")).await;
        if storage.backend == Backend::Rclone {
            listed.sort_unstable();
        }
        assert_eq!((&listed, prefixes.len()), (&keys, 0), "limit {limit}");
    }
    let page = storage.list("prefix=pages/a.b").await;
    let object = &page["objects"][0];
    assert_eq!((object["bytes"].as_u64(), &page["next_cursor"]), (Some(9), &Value::Null));
    let got = storage.get("pages/a.b").await;
    assert_eq!(object["etag"], got.headers()["etag"].to_str().unwrap());
    assert!(object["modified"].as_str().unwrap().ends_with('Z'));
}

pub(crate) async fn folders_are_rolled_up(storage: &Storage) {
    for key in ["roll/a", "roll/b/1", "roll/b/2", "roll/b!", "roll/c/d/e", "roll/z", "rollx"] {
        storage.put(key, "x").await;
    }
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for limit in [1, 2, 100] {
        let (mut keys, prefixes) = all(storage, &format!("prefix=roll/&delimiter=/&limit={limit}")).await;
        keys.sort_unstable();
        assert_eq!(keys, owned(&["roll/a", "roll/b!", "roll/z"]), "limit {limit}");
        assert_eq!(prefixes, owned(&["roll/b/", "roll/c/"]), "limit {limit}");
    }
    let (keys, prefixes) = all(storage, "prefix=roll&delimiter=/").await;
    assert_eq!((keys, prefixes), (owned(&["rollx"]), owned(&["roll/"])));
    let (keys, prefixes) = all(storage, "prefix=roll/c&delimiter=/").await;
    assert_eq!((keys, prefixes), (vec![], owned(&["roll/c/"])));
    for nothing in ["roll/none", "roll/a/", "//", "roll//"] {
        assert_eq!(all(storage, &format!("prefix={nothing}&delimiter=/")).await, (vec![], vec![]), "{nothing}");
    }
}

pub(crate) async fn parameters_are_checked(storage: &Storage) {
    let invalid = [
        "limit=0",
        "limit=101",
        "limit=x",
        "delimiter=%2C",
        "cursor=nonsense!",
        "prefx=a",
        "prefix=a%00",
        "cursor=%20",
    ];
    for query in invalid {
        let answer = storage.http.get(format!("{}v1/storage?{query}", storage.server.url())).send().await.unwrap();
        assert_eq!(refusal(answer).await, (400, "invalid_argument".into()), "{query}");
    }
    for method in [Method::PUT, Method::GET, Method::HEAD, Method::DELETE] {
        let answer = storage.request(method.clone(), "query?versionId=1&a=b").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{method}");
        if method != Method::HEAD {
            let detail = json(answer).await["detail"].take();
            assert_eq!(detail, "query parameter versionId: this route takes none", "{method}");
        }
    }
    assert_eq!(storage.get("query").await.status(), StatusCode::NOT_FOUND, "nothing was written");
    let wrong = storage.http.post(format!("{}v1/storage", storage.server.url())).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
}
