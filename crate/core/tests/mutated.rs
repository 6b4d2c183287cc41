//! Tens of thousands of mutated files through the whole chain: no panic, no overflow, little memory, little time, a small stack.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use lopper_core::Code;
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::chain::chain;
use support::mutate::{Random, bytes, meaning};
use support::{build::Net, hostile, models};

/// Counts bytes in use, so that a file that asks for too much is caught.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one small file may take. The limits of the analysis allow for about half of it.
const MEMORY: usize = 512 << 20;
const TIME: Duration = Duration::from_secs(10);
/// That of a thread in a browser.
const STACK: usize = 1 << 20;

/// Runs a file; says what is wrong with how it went.
fn run(file: &[u8]) -> (Option<String>, Option<Code>) {
    let (started, before) = (Instant::now(), USED.load(Ordering::Relaxed));
    MOST.store(before, Ordering::Relaxed);
    let Ok(result) = catch_unwind(AssertUnwindSafe(|| chain(file))) else { return (Some("panicked".to_owned()), None) };
    let memory = MOST.load(Ordering::Relaxed).saturating_sub(before);
    let wrong = match started.elapsed() {
        t if t > TIME => Some(format!("took {t:?}")),
        _ if memory > MEMORY => Some(format!("took {} MiB", memory >> 20)),
        // A cut that fails its own structural check is a bug of the rules, not of the file.
        _ => result.as_ref().err().filter(|e| e.code() == Code::Invalid).map(ToString::to_string),
    };
    (wrong, result.err().map(|e| e.code()))
}

/// Runs files on a small stack, with an eye on each.
fn watch(cases: impl Iterator<Item = (String, Vec<u8>)> + Send + 'static) -> (usize, Vec<Code>) {
    let (send, receive) = mpsc::channel();
    let work = move || {
        let mut codes = Vec::new();
        for (name, file) in cases {
            let _ = send.send((name.clone(), None));
            let (wrong, code) = run(&file);
            if let Some(wrong) = wrong {
                let _ = send.send((name, Some(wrong)));
            }
            codes.extend(code);
        }
        codes
    };
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    let (mut count, mut current, mut wrong) = (0, String::new(), Vec::new());
    loop {
        match receive.recv_timeout(3 * TIME) {
            Ok((name, None)) => (count, current) = (count + 1, name),
            Ok((name, Some(what))) => wrong.push(format!("{name}: {what}")),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{current}: hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    (count, worker.join().expect("the worker ends"))
}

fn mutants(seed: u64, each: usize) -> impl Iterator<Item = (String, Vec<u8>)> + Send {
    let models: Vec<(&str, Net, Vec<u8>)> =
        models::valid().into_iter().map(|(n, net)| (n, net.clone(), net.bytes())).collect();
    (0..each).flat_map(move |k| {
        let files: Vec<(String, Vec<u8>)> = (models.iter().enumerate())
            .flat_map(|(m, (name, net, file))| {
                let random = || Random(seed ^ (k as u64) << 20 ^ (m as u64) << 8);
                let (a, b) = (bytes(&mut random(), file.clone()), meaning(&mut random(), net.clone()));
                [(format!("{name}, bytes {k}"), a), (format!("{name}, meaning {k}"), b)]
            })
            .collect();
        files
    })
}

#[test]
fn mutated_files_are_refused_or_cut() {
    let _turn = TURN.lock();
    let each = std::env::var("LOPPER_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let seed = std::env::var("LOPPER_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (count, codes) = watch(mutants(seed, each));
    assert_eq!(count, 2 * each * models::valid().len());
    // Both ends of the chain were reached: files that are refused, and ones that are cut.
    assert!(codes.len() > count / 10 && codes.len() < count * 9 / 10, "{} errors in {count} files", codes.len());
    let distinct: std::collections::HashSet<_> = codes.iter().map(|c| c.as_str()).collect();
    assert!(distinct.len() >= 12, "{distinct:?}");
    println!("{count} files, {} errors: {distinct:?}", codes.len());
}

/// What both tests measure is the whole process, so they take turns.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn files_that_ask_for_much_stay_within_bounds() {
    let _turn = TURN.lock();
    let cases: Vec<(String, Vec<u8>)> =
        hostile::all().into_iter().map(|(name, net)| (name.to_owned(), net.bytes())).collect();
    let all = cases.len();
    let (count, _) = watch(cases.into_iter());
    assert_eq!(count, all);
}
