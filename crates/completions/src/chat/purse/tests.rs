//! When a call may begin before its money is set aside.

use uuid::Uuid;

use super::{Call, Funds};

fn call(maximum: i64) -> Call {
    Call {
        id: Uuid::now_v7(),
        user_id: Uuid::nil(),
        api_key_id: None,
        model_id: 8,
        minimum: 0,
        maximum,
    }
}

#[test]
fn only_who_is_known_to_have_plenty_begins_early() {
    let funds = Funds::default();
    assert!(!funds.suffice(&call(0)), "nothing is known");
    funds.learn(&call(0), 79);
    assert!(!funds.suffice(&call(10)));
    funds.learn(&call(0), 80);
    let others = [
        Call {
            user_id: Uuid::max(),
            ..call(10)
        },
        Call {
            api_key_id: Some(Uuid::nil()),
            ..call(10)
        },
        Call {
            model_id: 9,
            ..call(10)
        },
        call(i64::MAX),
    ];
    for other in others {
        assert!(!funds.suffice(&other), "{other:?}");
    }
    assert!(funds.suffice(&call(10)));
    funds.forget(&call(0));
    assert!(!funds.suffice(&call(0)));
}

#[test]
fn what_begins_early_is_taken_off() {
    let funds = Funds::default();
    funds.learn(&call(0), 100);
    let begun = (0..10).filter(|_| funds.suffice(&call(10))).count();
    assert_eq!(begun, 3, "100, 90, 80, and 70 is too little");
    funds.learn(&call(0), 100);
    assert!(funds.suffice(&call(10)), "sessions has said more");
}
