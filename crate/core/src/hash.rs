//! Hash tables that are quick with short keys. Names of a file cannot be made to collide: hashes are seeded anew in every run.

use foldhash::fast::RandomState;

/// A table.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, RandomState>;

/// A set.
pub(crate) type Set<K> = std::collections::HashSet<K, RandomState>;

/// An empty table with room for so many entries.
pub(crate) fn map<K, V>(room: usize) -> Map<K, V> {
    Map::with_capacity_and_hasher(room, RandomState::default())
}

/// An empty set with room for so many entries.
pub(crate) fn set<K>(room: usize) -> Set<K> {
    Set::with_capacity_and_hasher(room, RandomState::default())
}
