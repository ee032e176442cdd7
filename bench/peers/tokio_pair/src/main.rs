//! Tokio at the jobs of bench/pair.c, one a run:
//!
//!     tokio_pair pingpong ROUNDS   two current_thread runtimes on two cores, waiting in turn
//!     tokio_pair busy MESSAGES     one runtime sends, one receives, through a channel of 1,024
//!     tokio_pair spawn TASKS       all started on one current_thread runtime, then all joined
//!
//! Prints one JSON line: CPU and elapsed nanoseconds an operation.
use std::mem::{size_of, zeroed};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn cpu_ns() -> f64 {
    let mut t: libc::timespec = unsafe { zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

fn allowed() -> libc::cpu_set_t {
    let mut all: libc::cpu_set_t = unsafe { zeroed() };
    unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut all) };
    all
}

/// This thread, on the index-th of the cores that the process may use.
fn pin(all: &libc::cpu_set_t, index: usize) {
    unsafe {
        let core = (0..libc::CPU_SETSIZE as usize)
            .filter(|core| libc::CPU_ISSET(*core, all))
            .nth(index);
        if let Some(core) = core {
            let mut one: libc::cpu_set_t = zeroed();
            libc::CPU_SET(core, &mut one);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
        }
    }
}

/// With its I/O driver, as a service's runtime has: that is what it parks in.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_io().build().expect("a runtime")
}

fn pingpong(rounds: u64) {
    let (there, mut at_there) = mpsc::channel::<u64>(1);
    let (back, mut at_back) = mpsc::channel::<u64>(1);
    let all = allowed();
    let other = std::thread::spawn(move || {
        pin(&all, 1);
        runtime().block_on(async move {
            while let Some(item) = at_there.recv().await {
                back.send(item).await.expect("the way back");
            }
        })
    });
    pin(&all, 0);
    runtime().block_on(async move {
        for i in 0..rounds {
            there.send(i).await.expect("the way there");
            assert_eq!(at_back.recv().await, Some(i));
        }
    });
    other.join().expect("the other runtime");
}

fn busy(messages: u64) {
    let (items, mut at_items) = mpsc::channel::<u64>(1024);
    let other = std::thread::spawn(move || {
        runtime().block_on(async move {
            let mut sum = 0;
            while let Some(item) = at_items.recv().await {
                sum += item;
            }
            sum
        })
    });
    runtime().block_on(async move {
        for i in 0..messages {
            items.send(i).await.expect("the channel");
        }
    });
    assert_eq!(other.join().expect("the other runtime"), messages * (messages - 1) / 2);
}

fn spawn(tasks: u64) {
    runtime().block_on(async move {
        let joins: Vec<_> = (0..tasks).map(|i| tokio::spawn(async move { i & 1 })).collect();
        let mut odd = 0;
        for join in joins {
            odd += join.await.expect("a task");
        }
        assert_eq!(odd, tasks / 2);
    });
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let job = match words.get(1).map(String::as_str) {
        Some("pingpong") => pingpong,
        Some("busy") => busy,
        Some("spawn") => spawn,
        _ => fail(),
    };
    let count = match words.get(2).and_then(|word| word.parse::<u64>().ok()) {
        Some(count) if count > 0 => count,
        _ => fail(),
    };
    let (began, before) = (Instant::now(), cpu_ns());
    job(count);
    let (spent, elapsed) = (cpu_ns() - before, began.elapsed().as_nanos() as f64);
    println!(
        "{{\"cpu_ns\":{:.2},\"elapsed_ns\":{:.2}}}",
        spent / count as f64,
        elapsed / count as f64
    );
}

fn fail() -> ! {
    eprintln!("usage: tokio_pair pingpong|busy|spawn COUNT");
    std::process::exit(2)
}
