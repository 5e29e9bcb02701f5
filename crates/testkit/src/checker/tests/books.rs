//! Books that add up, and each way in which they do not.

use uuid::Uuid;

use crate::checker::Invariant;
use crate::checker::money::{Account, Bill, Books, End, Line, Run, audit};

const USER: Uuid = Uuid::from_u128(1);
const WHOLE: Uuid = Uuid::from_u128(10);
const CUT: Uuid = Uuid::from_u128(11);
const FREE: Uuid = Uuid::from_u128(12);

fn run(id: Uuid, end: End, cost: i64) -> Run {
    let ends = vec![end];
    Run { id, ends, cost }
}

fn line(amount: i64, run: Option<Uuid>) -> Line {
    let user = USER;
    Line { user, amount, run }
}

/// A deposit, an answer, one that was cut, and one that came to nothing.
fn sound() -> Books {
    let account = Account {
        balance: 940,
        reserved: 0,
    };
    Books {
        runs: vec![
            run(WHOLE, End::Complete, 50),
            run(CUT, End::Short, 10),
            run(FREE, End::Short, 0),
        ],
        ledger: vec![
            line(1000, None),
            line(-50, Some(WHOLE)),
            line(-10, Some(CUT)),
        ],
        accounts: [(USER, account)].into(),
        bill: Some(Bill {
            asked: 3,
            answered: 1,
        }),
    }
}

/// What is said of books after a change, one line for each thing that is wrong.
fn wrong(change: impl FnOnce(&mut Books)) -> Vec<String> {
    let mut books = sound();
    change(&mut books);
    let found = audit(&books);
    assert!(found.iter().all(|it| it.invariant == Invariant::Money));
    found.into_iter().map(|it| it.what).collect()
}

#[test]
fn sound_books_are_sound() {
    assert_eq!(wrong(|_| {}), Vec::<String>::new());
    // A charge of nothing may be written down or not.
    assert_eq!(
        wrong(|books| books.ledger.push(line(0, Some(FREE)))),
        Vec::<String>::new()
    );
}

#[test]
fn a_run_that_never_ended_or_ended_twice_is_seen() {
    assert_eq!(wrong(|books| books.runs[1].ends.clear()).len(), 1);
    assert_eq!(wrong(|books| books.runs[1].ends.push(End::Short)).len(), 1);
}

#[test]
fn a_run_that_is_charged_twice_or_not_is_seen() {
    let twice = wrong(|books| {
        books.ledger.push(line(-50, Some(WHOLE)));
        books.accounts.insert(
            USER,
            Account {
                balance: 890,
                reserved: 0,
            },
        );
    });
    assert_eq!(twice.len(), 1, "{twice:?}");
    let never = wrong(|books| {
        books.ledger.remove(2);
        books.accounts.insert(
            USER,
            Account {
                balance: 950,
                reserved: 0,
            },
        );
    });
    assert_eq!(never.len(), 1, "{never:?}");
}

#[test]
fn a_charge_for_no_run_is_seen() {
    let found = wrong(|books| {
        books.ledger.push(line(0, Some(Uuid::from_u128(99))));
    });
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_balance_that_is_not_the_ledgers_is_seen() {
    let found = wrong(|books| books.ledger.push(line(1, None)));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn money_that_stays_set_aside_is_seen() {
    let found = wrong(|books| {
        for account in books.accounts.values_mut() {
            account.reserved = 5;
        }
    });
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn more_than_the_provider_gave_is_seen() {
    let bill =
        |asked, answered| move |books: &mut Books| books.bill = Some(Bill { asked, answered });
    assert_eq!(wrong(bill(3, 0)).len(), 1);
    assert_eq!(wrong(bill(1, 1)).len(), 1);
}
