//! What differs between a native program and a browser's worker.

/// The most bytes of pixels to hold: a worker's memory ends at 4 GiB, and the network needs its part.
#[cfg(target_family = "wasm")]
pub(super) const TOTAL_BYTES: u64 = 1 << 30;
/// The most bytes of pixels to hold.
#[cfg(not(target_family = "wasm"))]
pub(super) const TOTAL_BYTES: u64 = 8 << 30;

/// Applies `work` to every item and keeps the order: on one thread in a browser.
#[cfg(target_family = "wasm")]
pub(super) fn map_in_order<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    items.iter().map(work).collect()
}

/// Applies `work` to every item and keeps the order: on as many threads as the machine has cores.
#[cfg(not(target_family = "wasm"))]
pub(super) fn map_in_order<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> =
            items.chunks(share).map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        let results = running.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.flatten().collect()
    })
}
