//! Disjoint sets of channel ids.

/// The class of everything that must stay.
pub const PINNED: u32 = 0;

/// Union-find with path halving; the smallest id of a class represents it, so that [`PINNED`] represents its own.
#[derive(Clone, Debug)]
pub struct UnionFind {
    parent: Vec<u32>,
}

impl Default for UnionFind {
    fn default() -> Self {
        Self { parent: vec![PINNED] }
    }
}

impl UnionFind {
    /// Makes `n` new ids, each alone, and returns the first.
    pub fn fresh(&mut self, n: usize) -> u32 {
        let first = u32::try_from(self.parent.len()).unwrap_or(u32::MAX);
        self.parent.extend(first..first.saturating_add(n as u32));
        first
    }

    /// Number of ids.
    pub fn count(&self) -> usize {
        self.parent.len()
    }

    fn parent(&self, id: u32) -> u32 {
        self.parent.get(id as usize).copied().unwrap_or(PINNED)
    }

    /// The representative of an id's class.
    pub fn find(&mut self, mut id: u32) -> u32 {
        loop {
            let up = self.parent(id);
            if up == id {
                return id;
            }
            let above = self.parent(up);
            if let Some(slot) = self.parent.get_mut(id as usize) {
                *slot = above;
            }
            id = above;
        }
    }

    /// The representative of an id's class, without shortening the way to it.
    pub fn peek(&self, mut id: u32) -> u32 {
        loop {
            let up = self.parent(id);
            if up == id {
                return id;
            }
            id = up;
        }
    }

    /// Unites two classes; true if they were apart.
    pub fn unite(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        if let Some(slot) = self.parent.get_mut(a.max(b) as usize) {
            *slot = a.min(b);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_merge_and_pinned_wins() {
        let mut u = UnionFind::default();
        let a = u.fresh(4);
        assert!(u.unite(a, a + 1) && u.unite(a + 2, a + 3) && u.unite(a + 1, a + 2));
        assert!(!u.unite(a, a + 3));
        assert_ne!(u.find(a), PINNED);
        u.unite(PINNED, a + 2);
        assert_eq!(u.find(a), PINNED);
    }
}
