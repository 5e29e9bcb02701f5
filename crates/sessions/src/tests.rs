//! Rules that need no database.

use proptest::prelude::*;

use crate::account::{Account, Budget, Wish};
use crate::api_key::{Scope, Secret, name, scopes};
use crate::error::Error;
use crate::settings::{
    OidcSettings, RegistrationSettings, Settings, SettingsError, SignInSettings, TokenSettings,
};
use crate::user::{Username, model_set};

fn settings() -> Settings {
    Settings {
        database: confab_database::scratch::settings("sqlite:sessions.db"),
        tokens: TokenSettings {
            issuer: "confab".to_owned(),
            audience: "confab".to_owned(),
            lifetime_seconds: 60,
            shared_secret: String::new().into(),
        },
        oidc: OidcSettings {
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
        },
        sign_in: SignInSettings {
            access_seconds: 600,
            session_seconds: 3_600,
        },
        registration: RegistrationSettings {
            open: true,
            models: Vec::new(),
            deposit_microdollars: 0,
        },
    }
}

/// What is said about settings that differ from good ones in one way.
fn complaint(change: impl FnOnce(&mut Settings)) -> Option<SettingsError> {
    let mut settings = settings();
    change(&mut settings);
    settings.validate().err()
}

#[test]
fn settings_are_checked() {
    use SettingsError as E;

    assert!(complaint(|_| {}).is_none());
    let wrong = complaint(|all| all.database.max_connections = 1);
    assert!(matches!(wrong, Some(E::Database(_))));
    let wrong = complaint(|all| all.tokens.audience.clear());
    assert!(matches!(wrong, Some(E::NamelessTokens)));
    let wrong = complaint(|all| all.tokens.lifetime_seconds = 0);
    assert!(matches!(wrong, Some(E::Lifetime)));
    let wrong = complaint(|all| all.tokens.shared_secret = "x".repeat(31).into());
    assert!(matches!(wrong, Some(E::ShortSecret)));
    assert!(complaint(|all| all.tokens.shared_secret = "x".repeat(32).into()).is_none());
    let wrong = complaint(|all| all.sign_in.access_seconds = 0);
    assert!(matches!(wrong, Some(E::SignInTimes)));
    let wrong = complaint(|all| all.sign_in.session_seconds = 599);
    assert!(matches!(wrong, Some(E::SignInTimes)));
    let wrong = complaint(|all| all.registration.deposit_microdollars = -1);
    assert!(matches!(wrong, Some(E::NegativeDeposit)));
    let wrong = complaint(|all| all.registration.models = (0..1001).collect());
    assert!(matches!(wrong, Some(E::TooManyModels)));
}

#[test]
fn settings_of_an_issuer_are_checked() {
    use SettingsError as E;

    let trust = |issuer: &str, audience: &str, jwks_url: &str| {
        complaint(|all| {
            all.oidc.issuer = issuer.to_owned();
            all.oidc.audience = audience.to_owned();
            all.oidc.jwks_url = jwks_url.to_owned();
        })
    };
    assert!(trust("https://id.example.org/", "chat", "").is_none());
    assert!(trust("http://127.0.0.1:9", "chat", "http://127.0.0.1:9/keys").is_none());
    assert!(matches!(
        trust("id.example.org", "chat", ""),
        Some(E::OidcIssuer)
    ));
    assert!(matches!(
        trust("file:///etc", "chat", ""),
        Some(E::OidcIssuer)
    ));
    assert!(matches!(
        trust("https://id.example.org", "", ""),
        Some(E::OidcAudience)
    ));
    assert!(matches!(
        trust("https://id.example.org", "chat", "keys"),
        Some(E::OidcKeys)
    ));
    assert!(matches!(trust("", "chat", ""), Some(E::OidcIncomplete)));
    assert!(matches!(
        trust("", "", "https://id.example.org/keys"),
        Some(E::OidcIncomplete)
    ));
}

#[test]
fn an_issuers_keys_are_at_the_usual_place() {
    let mut oidc = settings().oidc;
    oidc.issuer = "https://id.example.org/".to_owned();
    assert_eq!(
        oidc.keys_url(),
        "https://id.example.org/.well-known/jwks.json"
    );
    oidc.jwks_url = "https://keys.example.org".to_owned();
    assert_eq!(oidc.keys_url(), "https://keys.example.org");
}

#[test]
fn a_secret_is_not_in_the_debug_output() {
    let mut settings = settings();
    settings.tokens.shared_secret = "a secret that nobody may ever see".into();
    assert!(!format!("{settings:?}").contains("secret that"));
}

#[test]
fn usernames() {
    assert_eq!(Username::parse("  Zoë K. ").unwrap().as_str(), "Zoë K.");
    assert!(Username::parse(&"é".repeat(127)).is_ok());
    let too_long = "é".repeat(128);
    for bad in [
        "",
        "   ",
        "a\nb",
        "nul\0",
        "esc\u{1b}[0m",
        too_long.as_str(),
    ] {
        assert!(Username::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_name_from_outside_is_cut_where_a_character_ends() {
    let cut = Username::from_outside(&"é".repeat(200)).unwrap();
    assert_eq!(cut.as_str(), "é".repeat(117));
    assert!(Username::from_outside(" \t").is_none());
}

#[test]
fn models_are_a_set() {
    assert_eq!(model_set(vec![8, 4, 5, 4]).unwrap(), [4, 5, 8]);
    assert_eq!(
        model_set((0..1000).chain(0..1000).collect()).unwrap().len(),
        1000
    );
    assert!(model_set((0..1001).collect()).is_err());
}

proptest! {
    #[test]
    fn a_numbered_name_is_a_name(name in "\\PC{1,300}", attempt in 1_u32..10) {
        if let Some(name) = Username::from_outside(&name) {
            let numbered = name.numbered(attempt);
            prop_assert!(Username::parse(numbered.as_str()).is_ok());
        }
    }
}

fn wish(minimum: i64, maximum: i64, open_limit: u32) -> Wish {
    Wish::new(minimum, maximum, open_limit).unwrap()
}

#[test]
fn who_has_nothing_is_told_so_and_who_has_runs_is_told_to_wait() {
    let mut none = Account {
        balance: 0,
        reserved: 0,
    };
    assert!(matches!(
        none.reserve(&mut Budget::unlimited(), wish(0, 5, 1), 1),
        Err(Error::BalanceInsufficient)
    ));
    let mut held = Account {
        balance: 5,
        reserved: 5,
    };
    assert!(matches!(
        held.reserve(&mut Budget::unlimited(), wish(0, 5, 1), 1),
        Err(Error::RunLimit)
    ));
    assert!(matches!(
        held.reserve(&mut Budget::unlimited(), wish(0, 5, 2), 1),
        Err(Error::BalanceInsufficient)
    ));
    assert!(matches!(
        held.reserve(&mut Budget::unlimited(), wish(0, 5, 0), 9),
        Err(Error::BalanceInsufficient)
    ));
    let mut little = Account {
        balance: 5,
        reserved: 3,
    };
    assert!(matches!(
        little.reserve(&mut Budget::unlimited(), wish(3, 5, 0), 1),
        Err(Error::BalanceInsufficient)
    ));
    assert_eq!(
        little
            .reserve(&mut Budget::unlimited(), wish(2, 5, 0), 1)
            .unwrap(),
        2
    );
}

#[test]
fn a_settlement_takes_what_is_available_and_nothing_of_other_runs() {
    let mut account = Account {
        balance: 100,
        reserved: 60,
    };
    assert_eq!(account.settle(&mut Budget::unlimited(), 10, 1_000), 50);
    assert_eq!(
        account,
        Account {
            balance: 50,
            reserved: 50
        }
    );
    assert_eq!(account.settle(&mut Budget::unlimited(), 50, 0), 0);
    assert_eq!(
        account,
        Account {
            balance: 50,
            reserved: 0
        }
    );
}

#[test]
fn a_budget_limits_as_the_balance_does() {
    let account = || Account {
        balance: 100,
        reserved: 0,
    };
    let budget = |spent, reserved| Budget {
        limit: Some(10),
        spent,
        reserved,
    };
    let refused = |mut budget: Budget, wish, open| account().reserve(&mut budget, wish, open).err();
    assert!(matches!(
        refused(budget(10, 0), wish(0, 5, 1), 1),
        Some(Error::BudgetExceeded)
    ));
    // What other runs of the key hold comes free.
    assert!(matches!(
        refused(budget(0, 10), wish(0, 5, 1), 1),
        Some(Error::RunLimit)
    ));
    assert!(matches!(
        refused(budget(0, 10), wish(0, 5, 2), 1),
        Some(Error::BudgetExceeded)
    ));
    assert!(matches!(
        refused(budget(3, 4), wish(4, 5, 0), 1),
        Some(Error::BudgetExceeded)
    ));
    assert!(refused(budget(10, 0), wish(0, 0, 0), 0).is_none());

    let (mut account, mut budget) = (account(), budget(3, 4));
    let held = account.reserve(&mut budget, wish(3, 5, 0), 1).unwrap();
    assert_eq!((held, account.reserved, budget.reserved), (3, 3, 7));
    // Beyond what the run held, its key has nothing.
    assert_eq!(account.settle(&mut budget, 3, 50), 3);
    assert_eq!((account.balance, account.reserved), (97, 0));
    assert_eq!((budget.spent, budget.reserved), (6, 4));
}

#[test]
fn scopes_are_known_and_each_once() {
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        scopes(&names).map(|scopes| scopes.into_iter().map(Scope::name).collect::<Vec<_>>())
    };
    let all = ["models", "chat", "embeddings", "conversations"];
    assert_eq!(named(&[]).unwrap(), all);
    assert_eq!(
        named(&["chat", "models", "chat"]).unwrap(),
        ["models", "chat"]
    );
    assert!(named(&["chat", "Chat"]).is_err());
    assert!(named(&[""]).is_err());
}

#[test]
fn a_keys_name_is_a_line_and_its_hint_the_end_of_its_secret() {
    assert_eq!(name(" deploy ").unwrap(), "deploy");
    assert_eq!(name("").unwrap(), "");
    assert!(name("two\nlines").is_err());
    assert!(name(&"x".repeat(256)).is_err());
    let secret = Secret::generate().unwrap();
    let told = secret.tell();
    assert_eq!(told.len(), "sk-confab-".len() + 43);
    assert!(told.starts_with("sk-confab-") && told.ends_with(&secret.hint()));
    assert_ne!(told, Secret::generate().unwrap().tell());
}

#[test]
fn a_deposit_is_positive_and_does_not_overflow() {
    let mut account = Account {
        balance: 1,
        reserved: 0,
    };
    assert!(account.deposit(0).is_err());
    assert!(account.deposit(-1).is_err());
    assert!(account.deposit(i64::MAX).is_err());
    assert_eq!(account.balance, 1);
    account.deposit(i64::MAX - 1).unwrap();
    assert_eq!(account.balance, i64::MAX);
}

/// Something that happens to an account.
#[derive(Debug, Clone)]
enum Step {
    Deposit(i64),
    Reserve {
        minimum: i64,
        maximum: i64,
        open_limit: u32,
        /// Whether the key asks for it.
        keyed: bool,
    },
    /// Ends one of the open reservations.
    Settle {
        which: prop::sample::Index,
        cost: i64,
    },
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![0..1_000_i64, 0..=i64::MAX]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        amount().prop_map(Step::Deposit),
        (amount(), amount(), 0..4_u32, any::<bool>()).prop_map(
            |(minimum, maximum, open_limit, keyed)| Step::Reserve {
                minimum,
                maximum,
                open_limit,
                keyed
            }
        ),
        (any::<prop::sample::Index>(), amount())
            .prop_map(|(which, cost)| Step::Settle { which, cost }),
    ]
}

proptest! {
    #[test]
    fn the_balance_is_the_ledgers_sum_and_covers_what_is_reserved(
        limit in amount(),
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut account = Account { balance: 0, reserved: 0 };
        let mut key = Budget { limit: Some(limit), ..Budget::unlimited() };
        let mut ledger = Vec::<(i64, bool)>::new();
        let mut open = Vec::<(i64, bool)>::new();
        for step in steps {
            match step {
                Step::Deposit(amount) => {
                    if account.deposit(amount).is_ok() {
                        ledger.push((amount, false));
                    }
                }
                Step::Reserve { minimum, maximum, open_limit, keyed } => {
                    let wish = Wish::new(minimum, maximum, open_limit).unwrap();
                    let mut own = Budget::unlimited();
                    let budget = if keyed { &mut key } else { &mut own };
                    if let Ok(amount) = account.reserve(budget, wish, open.len() as u64) {
                        prop_assert!(amount <= maximum);
                        open.push((amount, keyed));
                    }
                }
                Step::Settle { which, cost } if !open.is_empty() => {
                    let (amount, keyed) = open.swap_remove(which.index(open.len()));
                    let mut own = Budget { reserved: amount, ..Budget::unlimited() };
                    let budget = if keyed { &mut key } else { &mut own };
                    let charged = account.settle(budget, amount, cost);
                    prop_assert!(0 <= charged && charged <= cost);
                    ledger.push((-charged, keyed));
                }
                Step::Settle { .. } => {}
            }
            let keyed = |rows: &[(i64, bool)]| rows.iter().filter(|row| row.1).map(|row| row.0).sum::<i64>();
            let all = |rows: &[(i64, bool)]| rows.iter().map(|row| row.0).sum::<i64>();
            prop_assert_eq!(account.balance, all(&ledger));
            prop_assert_eq!(account.reserved, all(&open));
            prop_assert!(0 <= account.reserved && account.reserved <= account.balance);
            prop_assert_eq!((key.spent, key.reserved), (-keyed(&ledger), keyed(&open)));
            prop_assert!(key.spent.saturating_add(key.reserved) <= limit);
        }
    }
}
