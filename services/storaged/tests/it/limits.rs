//! What is refused, and that nothing of it stays.

use proto::v1::ListRequest;
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt;

use crate::harness::{Backend, OBJECT_BYTES_MAX, Storage, answer_head, chunked, header, noise, put_messages, refusal};

/// How many objects lie below the prefix, and what is being written.
async fn remains(storage: &Storage, prefix: &str) -> (usize, usize) {
    let request = ListRequest { prefix: format!("user/{prefix}"), ..ListRequest::default() };
    let listed = storage.bucket().list(request).await.unwrap().into_inner().objects.len();
    let unfinished = match storage.backend {
        Backend::Local => std::fs::read_dir(storage.folder.path().join("data/tmp")).unwrap().count(),
        Backend::Moto => {
            let endpoint = storage.s3.as_ref().unwrap().endpoint();
            let uploads = storage.http.get(format!("{endpoint}lakehouse?uploads")).send().await.unwrap();
            uploads.text().await.unwrap().matches("<UploadId>").count()
        }
        // It has no way to list them.
        Backend::Rclone => 0,
    };
    (listed, unfinished)
}

pub(crate) async fn a_long_body_is_refused_before_it_is_read(storage: &Storage) {
    let head = format!(
        "PUT /v1/storage/limit/a HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        OBJECT_BYTES_MAX + 1
    );
    let answer = answer_head(&mut storage.raw(&head).await).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "and not 100 Continue: {answer}");
    assert_eq!(remains(storage, "limit/").await, (0, 0));

    let fits = format!(
        "PUT /v1/storage/limit/b HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {OBJECT_BYTES_MAX}\r\n\r\n"
    );
    let answer = answer_head(&mut storage.raw(&fits).await).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
}

pub(crate) async fn a_client_that_keeps_sending_gets_its_refusal(storage: &Storage) {
    let head =
        format!("PUT /v1/storage/limit/c HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    let mut stream = storage.raw(&head).await;
    stream.write_all(&noise(8 << 20)).await.unwrap();
    assert!(answer_head(&mut stream).await.starts_with("HTTP/1.1 413"));
}

pub(crate) async fn a_body_of_unknown_length_is_counted(storage: &Storage) {
    let longest = noise(OBJECT_BYTES_MAX as usize);
    assert!(storage.put("counted/fits", chunked(&longest)).await.status().is_success());
    let mut longer = longest;
    longer.push(0);
    let refused = storage.put("counted/not", chunked(&longer)).await;
    assert_eq!(refusal(refused).await, (413, "payload_too_large".into()));
    storage.eventually("all but one is gone", || async { remains(storage, "counted/").await == (1, 0) }).await;
}

pub(crate) async fn a_body_that_breaks_off_leaves_nothing(storage: &Storage) {
    // More than one part, less than the whole.
    for (bytes, sent) in [(12 << 20, 7 << 20), (100, 50)] {
        let head = format!("PUT /v1/storage/broken/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n");
        let mut stream = storage.raw(&head).await;
        stream.write_all(&noise(sent)).await.unwrap();
        drop(stream);
    }
    let chunked =
        "PUT /v1/storage/broken/b HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    drop(storage.raw(chunked).await);
    storage.eventually("nothing is left of it", || async { remains(storage, "broken/").await == (0, 0) }).await;

    let mut messages = put_messages("user/broken/c", b"abc", None);
    if let Some(proto::v1::put_request::Part::Start(start)) = &mut messages[0].part {
        start.bytes = Some(4);
    }
    let short = storage.bucket().put(futures::stream::iter(messages)).await.unwrap_err();
    assert_eq!(short.message(), "the body has 3 bytes where 4 were stated");
    assert_eq!(remains(storage, "broken/").await, (0, 0));
}

pub(crate) async fn uploads_beyond_the_limit_are_turned_away_and_services_are_not(storage: &Storage) {
    let head = "PUT /v1/storage/crowd HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    let running = std::sync::Mutex::new(Vec::new());
    // Uploads that broke off before may still be ending: not every try has to succeed.
    let four_run = || async {
        let mut stream = storage.raw(head).await;
        // It says so once it reads the body: so it has its permit.
        if answer_head(&mut stream).await.starts_with("HTTP/1.1 100") {
            running.lock().unwrap().push(stream);
        }
        running.lock().unwrap().len() == 4
    };
    storage.eventually("four uploads run", four_run).await;
    let refused = storage.put("crowd", "x").await;
    assert_eq!(header(&refused, "retry-after"), "5");
    assert_eq!(refusal(refused).await, (503, "overloaded".into()));
    let messages = put_messages("user/crowd", b"x", None);
    assert!(storage.bucket().put(futures::stream::iter(messages)).await.is_ok(), "services have permits of their own");
    assert_eq!(storage.get("crowd").await.status(), StatusCode::OK, "reads are not counted");

    drop(running);
    storage.eventually("there is room again", || async { storage.put("crowd", "y").await.status().is_success() }).await;
    storage.request(Method::DELETE, "crowd").send().await.unwrap();
}
