//! Patterns of names.

/// Whether a name matches a pattern in which `*` stands for any text and `?` for one character. An exact name always matches.
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while j < n.len() {
        match p.get(i) {
            Some('*') => {
                retry = Some((i, j));
                i += 1;
            }
            Some(c) if *c == '?' || n.get(j) == Some(c) => {
                i += 1;
                j += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    i = star + 1;
                    j = from + 1;
                }
                None => return false,
            },
        }
    }
    p.iter().skip(i).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn patterns() {
        for (p, n, want) in [
            ("*.conv2.weight", "layer1.0.conv2.weight", true),
            ("fc.*", "fc.weight", true),
            ("fc.*", "afc.weight", false),
            ("a?c", "abc", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("w[0]*", "w[0]*", true),
        ] {
            assert_eq!(matches_glob(p, n), want, "{p} on {n}");
        }
    }
}
