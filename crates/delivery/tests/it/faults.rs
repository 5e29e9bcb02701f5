//! Faults that are asked for.

use confab_delivery::faults::{Faults, Shares};
use confab_delivery::{GatewayId, To};

use crate::{events, ids, open, settings};

#[tokio::test]
async fn entries_are_lost_doubled_and_swapped() {
    let cases = [
        (
            Shares {
                drop: 1.0,
                ..Shares::default()
            },
            vec![],
        ),
        (
            Shares {
                double: 1.0,
                ..Shares::default()
            },
            vec![1, 1, 2, 2, 3, 3],
        ),
        (
            Shares {
                swap: 1.0,
                ..Shares::default()
            },
            vec![2, 1],
        ),
        (Shares::default(), vec![1, 2, 3]),
    ];
    for (shares, expected) in cases {
        let delivery = open(&settings("")).await;
        let mut subscription = delivery.subscribe(GatewayId::new());
        let faulty = delivery.with_faults(Faults::new(shares, 7));
        faulty.publish(&To::All, events([1, 2, 3])).await.unwrap();
        assert_eq!(ids(&subscription.next().await.unwrap()), expected);
    }
}
