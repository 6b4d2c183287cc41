//! Which files of a zip or folder are images, and which class each has.

use std::collections::BTreeSet;

use lopper_core::{Code, Error, Result};

/// The images of a zip or folder in the order of their paths, and their classes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// Place in the source and path of each image.
    pub files: Vec<(usize, String)>,
    /// The class of each image, unless all lie in one place.
    pub labels: Option<Vec<u32>>,
    /// The names of the classes, sorted.
    pub classes: Vec<String>,
    /// Files that are no images by their names.
    pub skipped: Vec<String>,
}

/// A file's place in the source, its path, and the parts of its path.
struct Found<'a> {
    place: usize,
    path: &'a str,
    parts: Vec<&'a str>,
}

/// Sorts paths into images with classes and what is not read. A path that ends in `/` is a folder.
pub(super) fn list(paths: &[String]) -> Result<Listing> {
    let mut skipped = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
        if leaves_its_folder(path, &parts) {
            let message =
                format!("the archive holds a file named \"{path}\", which points out of its folder; that is not read");
            return Err(Error::new(Code::BadData, message));
        }
        if path.ends_with(['/', '\\']) || parts.iter().any(|part| is_system_file(part)) {
            continue;
        }
        if parts.last().is_some_and(|name| is_image(name)) {
            found.push(Found { place, path, parts });
        } else {
            skipped.push(path.clone());
        }
    }
    if found.is_empty() {
        let among = if skipped.is_empty() { String::new() } else { format!(" among {} other files", skipped.len()) };
        let message = format!(
            "there are no JPEG or PNG images{among}; give a zip or folder with one folder of images for each class"
        );
        return Err(Error::new(Code::BadData, message));
    }
    found.sort_by(|a, b| a.parts.cmp(&b.parts));
    let (labels, classes) = classes(&found)?;
    Ok(Listing {
        files: found.into_iter().map(|file| (file.place, file.path.to_owned())).collect(),
        labels,
        classes,
        skipped,
    })
}

fn leaves_its_folder(path: &str, parts: &[&str]) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    drive || path.starts_with(['/', '\\']) || path.contains('\0') || parts.contains(&"..")
}

fn is_system_file(part: &str) -> bool {
    part.starts_with('.') || ["__MACOSX", "Thumbs.db", "desktop.ini"].contains(&part)
}

fn is_image(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ["jpg", "jpeg", "png"].contains(&ending.as_str()))
}

/// Labels and class names; none where all images lie in one place.
fn classes(found: &[Found]) -> Result<(Option<Vec<u32>>, Vec<String>)> {
    let around = folders_around(found);
    let folder =
        |file: &Found| file.parts.get(around).copied().filter(|_| file.parts.len() > around + 1).map(str::to_owned);
    let folders: Vec<Option<String>> = found.iter().map(folder).collect();
    let names: BTreeSet<String> = folders.iter().flatten().cloned().collect();
    if let (Some(stray), false) = (found.iter().zip(&folders).find(|(_, folder)| folder.is_none()), names.is_empty()) {
        let message = format!(
            "\"{}\" lies beside the class folders ({}); put it into one of them or take it out",
            stray.0.path,
            some(&names)
        );
        return Err(Error::new(Code::BadData, message));
    }
    if names.len() < 2 {
        return Ok((None, Vec::new()));
    }
    let part = |name: &String| {
        ["train", "training", "val", "valid", "validation", "test", "testing"]
            .contains(&name.to_ascii_lowercase().as_str())
    };
    if names.iter().all(part) && found.iter().all(|file| file.parts.len() > around + 2) {
        let message = format!("the folders {} are parts of a data set, not classes; give one of them", some(&names));
        return Err(Error::new(Code::BadData, message));
    }
    let classes: Vec<String> = names.into_iter().collect();
    let label = |name: &String| classes.binary_search(name).ok().map(|label| label as u32);
    let labels = folders.iter().flatten().filter_map(label).collect();
    Ok((Some(labels), classes))
}

/// How many folders lie around all images with at least one more folder inside.
fn folders_around(found: &[Found]) -> usize {
    let shared = |depth: usize| {
        let first = found.first().and_then(|file| file.parts.get(depth));
        found.iter().all(|file| file.parts.len() > depth + 2 && file.parts.get(depth) == first)
    };
    (0..).take_while(|&depth| shared(depth)).count()
}

/// The first few names, for a sentence.
fn some(names: &BTreeSet<String>) -> String {
    let mut text = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 4 {
        text.push_str(", ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(paths: &[&str]) -> Result<Listing> {
        list(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn folders_are_classes_in_sorted_order() {
        let listing = listed(&["dog/b.PNG", "dog/a.jpg", "cat/x.jpeg", "cat/", "notes.txt", "cat/y.webp"]).unwrap();
        assert_eq!(listing.classes, ["cat", "dog"]);
        assert_eq!(listing.labels, Some(vec![0, 1, 1]));
        assert_eq!(listing.files, [(2, "cat/x.jpeg".into()), (1, "dog/a.jpg".into()), (0, "dog/b.PNG".into())]);
        assert_eq!(listing.skipped, ["notes.txt", "cat/y.webp"]);
    }

    #[test]
    fn folders_around_and_what_systems_add_are_looked_through() {
        let paths = [
            "set/v1/b/1.png",
            "set/v1/a/2.png",
            "set/v1/a/deep/3.png",
            "__MACOSX/set/v1/a/._2.png",
            "set/.DS_Store",
            "set/v1/a/.hidden.png",
        ];
        let listing = listed(&paths).unwrap();
        assert_eq!((listing.classes, listing.labels), (vec!["a".into(), "b".into()], Some(vec![0, 0, 1])));
        assert!(listing.skipped.is_empty());
    }

    #[test]
    fn windows_separators_are_separators() {
        assert_eq!(listed(&["a\\1.png", "b\\2.png"]).unwrap().classes, ["a", "b"]);
    }

    #[test]
    fn images_in_one_place_have_no_labels() {
        for paths in [&["1.png", "2.png"][..], &["some/1.png", "some/2.png"], &["x/some/1.png"]] {
            assert_eq!(listed(paths).unwrap().labels, None, "{paths:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let cases = [
            (&["a/1.png", "../b/2.png"][..], "../b/2.png"),
            (&["/etc/a.png"], "/etc/a.png"),
            (&["C:\\a.png"], "C:\\a.png"),
            (&["a/1.png", "b/2.png", "3.png"], "3.png"),
            (&["train/a/1.png", "train/b/1.png", "val/a/2.png"], "train, val"),
            (&[], "no JPEG or PNG"),
            (&["a/1.gif"], "among 1 other"),
        ];
        for (paths, named) in cases {
            let error = listed(paths).unwrap_err();
            assert_eq!(error.code(), Code::BadData);
            assert!(error.message().contains(named), "{error}");
        }
    }
}
