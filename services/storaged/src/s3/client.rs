//! The SDK, set up for AWS and for those that imitate it.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::config::S3Config;

pub(super) async fn client(config: &S3Config) -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .operation_attempt_timeout(config.attempt_timeout)
        .build();
    let mut builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .force_path_style(config.path_style)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(config.attempts_max))
        // Not every imitation knows the newer checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .http_client(http.clone());
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint.as_str());
    }
    if let Some(credentials) = credentials(config, http).await {
        builder = builder.credentials_provider(credentials);
    }
    Client::from_conf(builder.build())
}

/// Those of the configuration; else what the environment, the profile or the machine's role says.
async fn credentials(config: &S3Config, http: SharedHttpClient) -> Option<SharedCredentialsProvider> {
    if config.access_key_id.is_empty() {
        let region = Region::new(config.region.clone());
        let chain = aws_config::defaults(BehaviorVersion::latest()).http_client(http).region(region).load().await;
        return chain.credentials_provider();
    }
    let token = Some(config.session_token.expose().to_owned()).filter(|token| !token.is_empty());
    let secret = config.secret_access_key.expose();
    Some(SharedCredentialsProvider::new(Credentials::new(&config.access_key_id, secret, token, None, "lakehouse.toml")))
}
