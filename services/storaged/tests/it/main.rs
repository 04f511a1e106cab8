//! storaged over its two protocols, on a directory and on two foreign S3 servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conditions;
mod credentials;
mod forgetful;
mod harness;
mod keys;
mod limits;
mod listing;
mod local;
mod objects;
mod rpc;
mod worker;

use harness::{Backend, Storage};

/// Every check here holds on each backend. A directory gets a server for each check; a foreign
/// server starts slowly and serves them all, in turn.
macro_rules! checks_on_each_backend {
    ($($module:ident :: $check:ident,)*) => {
        mod on_a_directory {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    crate::$module::$check(&crate::Storage::start(crate::Backend::Local).await).await;
                }
            )*
        }

        async fn check_all(backend: Backend) {
            let storage = Storage::start(backend).await;
            $(
                eprintln!("{}", stringify!($check));
                $module::$check(&storage).await;
            )*
        }
    };
}

checks_on_each_backend! {
    objects::what_is_put_is_got_until_it_is_deleted,
    objects::a_long_object_streams_both_ways,
    objects::an_object_of_no_bytes_is_one,
    objects::ranges_are_those_of_the_rfc,
    objects::the_content_type_is_kept_or_guessed,
    objects::bytes_are_stored_as_sent_or_refused,
    conditions::reads_are_conditional,
    conditions::writes_are_conditional,
    conditions::one_of_many_conditional_writes_wins,
    conditions::a_long_object_is_written_conditionally,
    keys::invalid_keys_are_refused,
    keys::odd_keys_are_only_odd,
    keys::a_path_is_decoded_once,
    keys::outside_callers_stay_below_their_prefix,
    limits::a_long_body_is_refused_before_it_is_read,
    limits::a_client_that_keeps_sending_gets_its_refusal,
    limits::a_body_of_unknown_length_is_counted,
    limits::a_body_that_breaks_off_leaves_nothing,
    limits::uploads_beyond_the_limit_are_turned_away_and_services_are_not,
    listing::pages_go_through_all_keys_in_order,
    listing::folders_are_rolled_up,
    listing::parameters_are_checked,
    rpc::objects_pass_over_grpc,
    rpc::the_first_message_is_the_start,
    rpc::a_copy_is_an_object_of_its_own,
    rpc::objects_can_be_located,
    rpc::reads_over_grpc_are_partial_and_conditional,
}

#[tokio::test(flavor = "multi_thread")]
async fn on_s3_that_honours_conditions() {
    check_all(Backend::Moto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_s3_that_ignores_conditions() {
    check_all(Backend::Rclone).await;
}
