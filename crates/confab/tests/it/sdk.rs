//! OpenAI's own SDKs, for Python and JavaScript, against Confab: the suites of `scripts/sdk`.

use std::path::Path;
use std::process::{Command, Stdio};

use confab_rpc::sessions::CreateApiKeyRequest;
use confab_rpc::threads::{CreateThreadRequest, ThreadKind};
use confab_testkit::{Shape, System, eventually, named_by};
use uuid::Uuid;

/// Names the folder that `scripts/sdk/prepare` has filled: `scripts/test` sets it.
const SDK: &str = "CONFAB_TEST_SDK";

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/sdk");

/// Ids of the models that the suites ask.
const MODELS: [i32; 2] = [4, 10];

const DOLLAR: i64 = 1_000_000;

async fn key(system: &System, user: Uuid) -> String {
    let request = CreateApiKeyRequest {
        user_id: user.to_string(),
        name: "suite".to_owned(),
        ..CreateApiKeyRequest::default()
    };
    let made = system.sessions().create_api_key(request).await;
    made.unwrap().into_inner().secret
}

async fn conversation(system: &System, user: Uuid) -> String {
    let request = CreateThreadRequest {
        user_id: user.to_string(),
        kind: ThreadKind::Assistant.into(),
        ..CreateThreadRequest::default()
    };
    let made = system.threads().create_thread(request).await;
    made.unwrap().into_inner().number.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suites_of_both_sdks_pass_and_what_was_aborted_is_not_paid() {
    let sdk = named_by(SDK);
    for shape in Shape::ENDS {
        // A token in 100 ms, so that there is something to abort.
        let settings = [("completions.providers.scripted.behaviour", "slow")];
        let system = System::start_with(shape, &settings).await;
        let user = system.add_user("rich", &MODELS, DOLLAR).await;
        let poor = system.add_user("poor", &MODELS, 0).await;
        let mut suites = Command::new(Path::new(SUITES).join("run"));
        suites
            .arg(system.url(""))
            .arg(key(&system, user).await)
            .env(SDK, &sdk)
            .env("CONFAB_POOR_KEY", key(&system, poor).await)
            .env("CONFAB_CONVERSATION", conversation(&system, user).await)
            .stdin(Stdio::null());
        let suites = tokio::task::spawn_blocking(move || suites.output()).await;
        let suites = suites.unwrap().unwrap();
        let [out, error] = [&suites.stdout, &suites.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(suites.status.success(), "{shape:?}\n{out}\n{error}");

        let paid = eventually("everything is settled", async || {
            let account = system.account(user).await;
            (account.reserved_microdollars == 0).then_some(DOLLAR - account.balance_microdollars)
        })
        .await;
        // Each suite leaves the answer to 2000 words: they cost 20,000 to ask, and 60,000 if they were repeated whole.
        assert!((40_000..100_000).contains(&paid), "{shape:?}: {paid}");
        system.stop().await;
    }
}
