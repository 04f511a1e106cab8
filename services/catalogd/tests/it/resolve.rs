use proto::internal::v1::resolved::Outcome;
use proto::internal::v1::{Known, ResolveRequest, Resolved, Wanted};

use crate::platform::{Catalogd, Platform, people};

fn wanted(name: &str, version: u64, known_version: u64) -> Wanted {
    Wanted { name: name.into(), version, known_version }
}

async fn resolve(catalogd: &Catalogd, request: ResolveRequest) -> Vec<Resolved> {
    catalogd.internal().resolve(request).await.unwrap().into_inner().resolved
}

fn outcome(resolved: &Resolved) -> String {
    match resolved.outcome.as_ref().unwrap() {
        Outcome::Unchanged(version) => format!("{} unchanged {version}", resolved.name),
        Outcome::Manifest(manifest) => format!("{} is {}", manifest.name, manifest.version),
        Outcome::NotFound(_) => format!("{} not found", resolved.name),
    }
}

#[tokio::test]
async fn names_are_resolved_in_the_order_asked() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    for name in ["workers", "workers", "wages", "gone"] {
        catalogd.register(name, &["a.parquet"]).await;
    }
    catalogd.delete("v1/catalog/datasets/gone").await;
    let request = ResolveRequest {
        wanted: vec![
            wanted("workers", 0, 0),
            wanted("nobody", 0, 0),
            wanted("wages", 0, 1),
            wanted("workers", 1, 0),
            wanted("workers", 3, 0),
            wanted("Not A Name", 0, 0),
            wanted("gone", 0, 1),
        ],
        ..ResolveRequest::default()
    };
    let found: Vec<String> = resolve(&catalogd, request).await.iter().map(outcome).collect();
    assert_eq!(
        found,
        [
            "workers is 2",
            "nobody not found",
            "wages unchanged 1",
            "workers is 1",
            "workers not found",
            "Not A Name not found",
            "gone not found",
        ]
    );
    let known = vec![Known { name: "workers".into(), version: 1 }, Known { name: "wages".into(), version: 1 }];
    let all = ResolveRequest { wanted: Vec::new(), all: true, known };
    let found: Vec<String> = resolve(&catalogd, all).await.iter().map(outcome).collect();
    assert_eq!(found, ["wages unchanged 1", "workers is 2"]);
}

#[tokio::test]
async fn too_many_names_are_refused() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd_with(|config| config.resolve_names_max = 1).await;
    let request = ResolveRequest { wanted: vec![wanted("a", 0, 0), wanted("b", 0, 0)], ..ResolveRequest::default() };
    let refused = catalogd.internal().resolve(request).await.unwrap_err();
    assert!(refused.message().contains("resolve_names_max"), "{}", refused.message());
}
