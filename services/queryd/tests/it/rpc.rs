//! The same over gRPC.

use proto::v1::ExecuteRequest;
use proto::v1::query_client::QueryClient;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn statements_over_grpc() {
    let platform = Platform::with_data().await;
    let mut client = QueryClient::new(kit::grpc::channel(&platform.queryd.url()).unwrap());
    let request = |sql: &str, params: &str, max_rows| ExecuteRequest {
        sql: sql.to_owned(),
        params_json: params.to_owned(),
        max_rows,
        timeout_ms: None,
    };
    let call = request("SELECT a.id FROM workers a, range(1000) WHERE a.id < ?", "[90]", Some(80_000));
    let mut stream = client.execute(call).await.unwrap().into_inner();
    let (mut bytes, mut truncated) = (Vec::new(), Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        bytes.extend_from_slice(&message.arrow_ipc);
        truncated.push(message.truncated);
    }
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 80_000);
    assert!(truncated.len() > 1 && truncated.pop() == Some(true) && !truncated.contains(&true));

    let refused = client.execute(request("SET threads = 1", "", None)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let late = "SELECT CASE WHEN range = 2900000 THEN error('late') ELSE 'v' || range END FROM range(3000000)";
    let mut stream = client.execute(request(late, "", None)).await.unwrap().into_inner();
    let failure = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the broken stream ended as if it were whole"),
            Err(status) => break status,
        }
    };
    assert_eq!(failure.code(), tonic::Code::InvalidArgument);
}
