//! numpy files, good and bad.

use super::*;

/// Two 1 x 2 colour images.
fn images() -> Vec<u8> {
    npy("|u1", false, "(2, 1, 2, 3)", &(0..12).collect::<Vec<u8>>())
}

fn little(values: &[i64], bytes: usize) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()[..bytes].to_vec()).collect()
}

#[test]
fn bytes_labels_and_names_are_read_and_other_arrays_are_not() {
    let names: Vec<u8> = ["cat", "größer"]
        .iter()
        .flat_map(|name| {
            let mut letters: Vec<u32> = name.chars().map(u32::from).collect();
            letters.resize(6, 0);
            letters.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()
        })
        .collect();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let files = [
            ("other.npy", npy("|O", false, "(1,)", b"pickle")),
            ("images.npy", images()),
            ("labels.npy", npy("<i8", false, "(2,)", &little(&[1, 0], 8))),
            ("classes.npy", npy("<U6", false, "(2,)", &names)),
        ];
        let zip = Bytes::from(zip_with(method, files));
        assert!(Dataset::is_npz(&zip).unwrap());
        let data = Dataset::from_archive(zip, ImageSpec::default()).unwrap();
        assert_eq!((data.len(), data.height(), data.width(), data.channels()), (2, 1, 2, 3));
        assert_eq!((bytes_of(&data), data.labels()), (&(0..12).collect::<Vec<u8>>()[..], Some(&[1, 0][..])));
        assert_eq!((data.classes(), data.name(1)), (&["cat".into(), "größer".into()][..], "images[1]".into()));
    }
    let bytes = from_npz([("images.npy", images()), ("classes.npy", npy("|S3", false, "(2,)", b"catox\0"))]).unwrap();
    assert_eq!((bytes.classes(), bytes.labels()), (&["cat".into(), "ox".into()][..], None));
}

#[test]
fn labels_of_every_integer_type_and_byte_order_are_read() {
    for size in [1_usize, 2, 4, 8] {
        for letter in ["i", "u"] {
            let data = little(&[3, 100], size);
            let swapped: Vec<u8> = data.chunks(size).flat_map(|item| item.iter().rev().copied()).collect();
            for (order, data) in [("<", &data), (">", &swapped)] {
                let labels = npy(&format!("{order}{letter}{size}"), false, "(2,)", data);
                let read = from_npz([("images.npy", images()), ("labels.npy", labels)]).unwrap();
                assert_eq!(read.labels(), Some(&[3, 100][..]), "{order}{letter}{size}");
            }
        }
    }
    let column = npy("<i4", false, "(2, 1)", &little(&[3, 1], 4));
    assert_eq!(from_npz([("images", images()), ("labels", column)]).unwrap().labels(), Some(&[3, 1][..]));
}

#[test]
fn floats_of_both_widths_orders_and_byte_orders_are_read() {
    // [1, 2, 1, 3]: planes 0 1 2 and 3 4 5; in Fortran order the channel runs fastest.
    let (rows, columns) = ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0_f64], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0_f64]);
    for (fortran, values) in [(false, rows), (true, columns)] {
        let cases: [(&str, Vec<u8>); 4] = [
            ("<f4", values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()),
            (">f4", values.iter().flat_map(|&value| (value as f32).to_be_bytes()).collect()),
            ("<f8", values.iter().flat_map(|&value| value.to_le_bytes()).collect()),
            (">f8", values.iter().flat_map(|&value| value.to_be_bytes()).collect()),
        ];
        for (descr, bytes) in cases {
            let data = from_npz([("images.npy", npy(descr, fortran, "(1, 2, 1, 3)", &bytes))]).unwrap();
            assert_eq!((data.channels(), data.height(), data.width()), (2, 1, 3));
            assert_eq!(floats_of(&data), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{descr} {fortran}");
        }
    }
}

#[test]
fn grey_images_are_read_and_fitted_to_the_model() {
    for shape in ["(2, 2, 3)", "(2, 2, 3, 1)"] {
        let zip = Bytes::from(zip_of([("images.npy", npy("|u1", false, shape, &(0..12).collect::<Vec<u8>>()))]));
        let data = Dataset::from_npz(zip.clone(), ImageSpec::default()).unwrap();
        assert_eq!((data.len(), data.height(), data.width(), data.channels()), (2, 2, 3, 1));
        let colour = Dataset::from_npz(zip, ImageSpec::fixed(2, 3, 3)).unwrap();
        assert_eq!(bytes_of(&colour)[..6], [0, 0, 0, 1, 1, 1]);
    }
    let resized = Dataset::from_npz(zip_of([("images.npy", images())]).into(), ImageSpec::fixed(4, 4, 1)).unwrap();
    assert_eq!((resized.height(), resized.width(), bytes_of(&resized).len()), (4, 4, 32));
}

#[test]
fn all_versions_and_any_order_of_the_header_are_read() {
    let texts = [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 2, 3), }",
        "{\"shape\": (2,1,2,3), \"descr\": \"|u1\", \"fortran_order\": False}",
        "{'shape': (2L, 1L, 2L, 3L), 'fortran_order': False, 'descr': '|u1'}      \n",
    ];
    for version in [1, 2, 3] {
        for text in texts {
            let file = npy_with(version, text.as_bytes(), &(0..12).collect::<Vec<u8>>());
            assert_eq!(from_npz([("images.npy", file)]).unwrap().len(), 2, "{version} {text}");
        }
    }
}

#[test]
fn bad_images_are_refused_with_a_code_and_a_sentence() {
    let data: Vec<u8> = (0..12).collect();
    let cases: Vec<(&str, Vec<u8>, Code, &str)> = vec![
        ("magic", [b"NUMPY\x01\x00\x00".to_vec(), data.clone()].concat(), Code::BadData, "not a numpy"),
        ("version", npy_with(9, b"{}", &data), Code::BadData, "version 9"),
        ("empty", Vec::new(), Code::Truncated, "not complete"),
        ("header cut", images()[..30].to_vec(), Code::Truncated, "not complete"),
        ("header long", npy_with(2, &[b' '; 70_000], &data), Code::BadData, "header has 70000"),
        ("header no text", npy_with(1, &[0xff; 20], &data), Code::BadData, "not text"),
        ("header no dict", npy_with(1, b"[1, 2]", &data), Code::BadData, "dictionary"),
        ("header half", npy_with(1, b"{'descr': '|u1'}", &data), Code::BadData, "lacks"),
        ("header open", npy_with(1, b"{'descr': '|u1, 'shape': (1}", &data), Code::BadData, "not known"),
        ("header other", npy_with(1, b"{'extra': 1}", &data), Code::BadData, "extra"),
        ("data cut", npy("|u1", false, "(2, 1, 2, 3)", &data[..11]), Code::Truncated, "needs 12"),
        ("data more", npy("|u1", false, "(2, 1, 2, 2)", &data), Code::BadData, "needs 8"),
        ("huge", npy("|u1", false, "(99999999999, 32, 32, 3)", &data), Code::Truncated, "needs"),
        ("overflow", npy("<f8", false, "(4294967296, 4294967296, 4294967296, 3)", &data), Code::Truncated, "more than"),
        ("negative", npy("|u1", false, "(-2, 1, 2, 3)", &data), Code::BadData, "shape"),
        ("not a number", npy("|u1", false, "(two, 1)", &data), Code::BadData, "shape"),
        ("33 axes", npy("|u1", false, &format!("({})", "1,".repeat(33)), &data), Code::BadData, "shape"),
        ("objects", npy("|O", false, "(12,)", &data), Code::BadData, "Python objects"),
        (
            "records",
            npy_with(1, b"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,)}", &data),
            Code::BadData,
            "records",
        ),
        ("half", npy("<f2", false, "(6,)", &data), Code::BadData, "not supported"),
        ("complex", npy("<c8", false, "(1, 1, 1, 1)", &data[..8]), Code::BadData, "not supported"),
        ("no type", npy("", false, "(12,)", &data), Code::BadData, "missing"),
        ("empty text", npy("<U0", false, "(99999999999,)", &[]), Code::BadData, "not supported"),
        ("no images", npy("|u1", false, "(0, 32, 32, 3)", &[]), Code::BadData, "no images"),
        (
            "no images, wide",
            npy("|u1", true, "(4294967296, 0, 4294967296, 4294967296)", &[]),
            Code::BadData,
            "no images",
        ),
        ("one number", npy("|u1", false, "()", &data[..1]), Code::BadData, "must be uint8"),
        ("planes", npy("|u1", false, "(1, 3, 2, 2)", &data), Code::BadData, "transpose(0, 2, 3, 1)"),
        ("four channels", npy("|u1", false, "(1, 1, 3, 4)", &data), Code::BadData, "must be uint8"),
        ("wide integers", npy("<i4", false, "(1, 1, 1, 3)", &data), Code::BadData, "int32; uint8"),
        ("flat floats", npy("<f4", false, "(1, 3)", &data), Code::BadData, "[N, C, H, W]"),
        ("not finite", npy("<f4", false, "(1, 1, 1, 1)", &f32::NAN.to_le_bytes()), Code::BadData, "image 0 holds NaN"),
        ("text", npy("|S12", false, "(1,)", &data), Code::BadData, "are text"),
    ];
    for (what, file, code, says) in cases {
        let error = from_npz([("images.npy", file)]).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.message().starts_with("images: ") && error.message().contains(says), "{what}: {error}");
    }
}

#[test]
fn bad_labels_and_names_are_refused() {
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("labels", npy("<i8", false, "(3,)", &little(&[0, 1, 2], 8)), "3 labels for 2 images"),
        ("labels", npy("<i8", false, "(2,)", &little(&[0, -1], 8)), "label 1 is -1"),
        ("labels", npy("<u8", false, "(2,)", &little(&[0, -1], 8)), "18446744073709551615"),
        ("labels", npy("<f4", false, "(2,)", &[0; 8]), "whole numbers"),
        ("labels", npy("<i4", false, "(1, 2)", &[0; 8]), "[1, 2]"),
        ("labels", npy("<i4", false, "()", &[0; 4]), "[]"),
        ("classes", npy("<i4", false, "(2,)", &[0; 8]), "no text"),
        ("classes", npy("<U1", false, "(1, 1)", &[65, 0, 0, 0]), "[1, 1]"),
        ("classes", npy("<U1", false, "(1,)", &[0, 0, 0, 0x7f]), "no character"),
        ("classes", npy("|S1", false, "(1,)", &[0xff]), "UTF-8"),
    ];
    for (array, file, says) in cases {
        let error = from_npz([("images.npy", images()), (array, file)]).unwrap_err();
        assert_eq!(error.code(), Code::BadData, "{error}");
        assert!(error.message().starts_with(array) && error.message().contains(says), "{error}");
    }
    let labels = npy("|u1", false, "(2,)", &[0, 2]);
    let error = from_npz([("images", images()), ("labels", labels), ("classes", npy("|S1", false, "(2,)", b"ab"))])
        .unwrap_err();
    assert!(error.message().contains("label 2 has no name"), "{error}");
    let zip = zip_of([("x_train.npy", images())]);
    let error = Dataset::from_archive(zip.into(), ImageSpec::default()).unwrap_err();
    assert!(error.message().contains("x_train"), "{error}");
}

#[test]
fn floats_of_another_size_than_the_model_are_refused() {
    let zip = Bytes::from(zip_of([("images.npy", npy("<f4", false, "(1, 1, 1, 3)", &[0; 12]))]));
    let read = |spec| Dataset::from_npz(zip.clone(), spec);
    assert!(read(ImageSpec::fixed(1, 3, 1)).is_ok());
    for (spec, says) in [
        (ImageSpec::fixed(1, 3, 3), "transpose"),
        (ImageSpec::fixed(2, 3, 1), "2"),
        (ImageSpec::fixed(1, 4, 1), "not resized"),
    ] {
        let error = read(spec).unwrap_err();
        assert_eq!(error.code(), Code::DataMismatch);
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn what_unpacks_beyond_the_limit_is_refused() {
    let zeros = npy("|u1", false, "(64, 1024, 1024)", &vec![0; 64 << 20]);
    let zip = Bytes::from(zip_of([("images.npy", zeros)]));
    assert!(zip.len() < 100_000);
    let limits = Limits { total_bytes: 32 << 20, ..Limits::default() };
    let archive = archive::Archive::open(zip, limits).unwrap();
    assert_eq!(npz::read(archive, ImageSpec::default()).unwrap_err().code(), Code::TooLarge);
    // Few bytes that grow only when resized.
    let small = zip_of([("images.npy", images())]);
    let archive = archive::Archive::open(small.into(), limits).unwrap();
    assert_eq!(npz::read(archive, ImageSpec::fixed(100_000, 100_000, 3)).unwrap_err().code(), Code::TooLarge);
}

#[test]
fn every_cut_and_every_flipped_byte_gives_an_answer() {
    let files = || [("images.npy", images()), ("labels.npy", npy("<i2", true, "(2,)", &[0, 0, 1, 0]))];
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let good = zip_with(method, files());
        let read = |bytes: Vec<u8>| Dataset::from_npz(bytes.into(), ImageSpec::default());
        assert!(read(good.clone()).is_ok());
        for length in 0..good.len() {
            assert!(read(good[..length].to_vec()).is_err(), "{length}");
        }
        for at in 0..good.len() {
            for change in [0xff, 0x01, 0x80] {
                let mut bytes = good.clone();
                bytes[at] ^= change;
                if let Ok(data) = read(bytes) {
                    assert_eq!(
                        bytes_of(&data),
                        (0..12).collect::<Vec<u8>>(),
                        "byte {at}: the checksum must see changed data"
                    );
                }
            }
        }
    }
}

#[test]
fn targets_are_numbers_or_classes_of_places() {
    let with = |array: Vec<u8>| from_npz([("images", images()), ("targets", array)]);
    let floats: Vec<u8> = [0.5_f32, -1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let read = with(npy("<f4", false, "(2,)", &floats)).unwrap();
    assert_eq!(read.targets(), Some(&Targets::Values { dims: vec![], values: vec![0.5, -1.0] }));
    for (kind, bytes) in [("|u1", 1), ("<i2", 2), ("<i8", 8)] {
        let read = with(npy(kind, false, "(2, 1, 2)", &little(&[0, 255, 7, 254], bytes))).unwrap();
        assert_eq!(read.targets(), Some(&Targets::Places { dims: vec![1, 2], classes: vec![0, 255, 7, 254] }));
    }
    let nan: Vec<u8> = [0.5_f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
    let wrong = [
        npy("<f4", false, "(2,)", &nan),
        npy("<i8", false, "(2,)", &little(&[1, 0], 8)),
        npy("<i8", false, "(2, 1)", &little(&[1, 0], 8)),
        npy("<i2", false, "(2, 1, 2)", &little(&[0, 256, 7, 1], 2)),
        npy("<i2", false, "(2, 1, 2)", &little(&[0, -100, 7, 1], 2)),
        npy("|u1", false, "(1, 2, 2)", &[0; 4]),
        npy("|S1", false, "(2,)", b"ab"),
    ];
    for array in wrong {
        assert_eq!(with(array).unwrap_err().code(), Code::BadData);
    }
    let both =
        [("images", images()), ("targets", npy("<f4", false, "(2,)", &floats)), ("labels", b"no array".to_vec())];
    assert_eq!(from_npz(both).unwrap().labels(), None, "labels beside targets are not read");
}
