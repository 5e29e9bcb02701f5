//! What a frame costs on its way in and out, and one entry on its way to many sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use std::hint::black_box;

use confab_gateway::bench::{FanOut, parse_direct, parse_groups, render_direct, render_groups};
use criterion::{Criterion, Throughput};
use tokio::runtime::Runtime;

const DIRECT: &str = r#"{"action":"text_message","message_body":"Meet me at the harbour at nine, and bring the map.","receiver_id":"0192f0a1-0000-7000-8000-000000000001","client_msg_id":"0192f0a1-0000-7000-8000-000000000002"}"#;
const GROUPS: &str = r#"{"type":"newMessage","data":{"chat":7,"text":"Meet me at the harbour at nine, and bring the map.","client_msg_id":"0192f0a1-0000-7000-8000-000000000002"}}"#;

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame decode");
    group.bench_function("direct", |bencher| {
        bencher.iter(|| assert!(parse_direct(black_box(DIRECT))));
    });
    group.bench_function("groups", |bencher| {
        bencher.iter(|| assert!(parse_groups(black_box(GROUPS))));
    });
    group.finish();
    let mut group = criterion.benchmark_group("entry render");
    group.bench_function("direct", |bencher| {
        let mut render = render_direct();
        bencher.iter(|| assert!(render() > 0));
    });
    group.bench_function("groups", |bencher| {
        let mut render = render_groups();
        bencher.iter(|| assert!(render() > 0));
    });
    group.finish();
}

fn fan_out(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("fan-out");
    for sockets in [10, 100, 1_000, 10_000] {
        let mut room = runtime.block_on(FanOut::open(sockets));
        group.throughput(Throughput::Elements(sockets as u64));
        group.bench_function(format!("{sockets} sockets"), |bencher| {
            bencher.iter(|| runtime.block_on(room.deliver()));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    frames(&mut criterion);
    fan_out(&mut criterion);
    criterion.final_summary();
}
