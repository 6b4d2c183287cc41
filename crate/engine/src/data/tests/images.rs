//! Zips and folders of images.

use super::*;

const RED: [u8; 3] = [200, 10, 20];
const BLUE: [u8; 3] = [10, 20, 200];

fn two_classes() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("red/1.png", png(8, 6, RED)),
        ("red/2.png", png(8, 6, RED)),
        ("blue/1.png", png(8, 6, BLUE)),
        (".DS_Store", b"x".to_vec()),
        ("__MACOSX/red/._1.png", b"x".to_vec()),
        ("read me.txt", b"x".to_vec()),
    ]
}

#[test]
fn a_zip_of_class_folders_gives_images_labels_and_names() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let data = from_zip(zip_with(method, two_classes())).unwrap();
        assert_eq!((data.len(), data.height(), data.width(), data.channels()), (3, 6, 8, 3));
        assert_eq!((data.classes(), data.labels()), (&["blue".into(), "red".into()][..], Some(&[0, 1, 1][..])));
        assert_eq!((data.name(0), data.name(2)), ("blue/1.png".into(), "red/2.png".into()));
        assert_eq!(data.skipped(), ["read me.txt"]);
        assert_eq!(bytes_of(&data)[..6], [10, 20, 200, 11, 21, 201]);
        assert_eq!(bytes_of(&data)[6 * 8 * 3..][..3], RED);
    }
}

#[test]
fn entries_and_a_folder_on_disk_give_the_same_as_the_zip() {
    let from_zip = from_zip(zip_of(two_classes())).unwrap();
    let dropped = two_classes().into_iter().map(|(path, bytes)| (format!("/{path}"), Bytes::from(bytes)));
    assert_eq!(Dataset::from_entries(dropped, ImageSpec::default()).unwrap(), from_zip);

    let root = std::env::temp_dir().join(format!("lopper-data-{}", std::process::id()));
    for (path, bytes) in two_classes() {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let read = Dataset::from_folder(&root, ImageSpec::default());
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(read.unwrap(), from_zip);
    assert_eq!(Dataset::from_folder(&root, ImageSpec::default()).unwrap_err().code(), Code::NotFound);
}

#[test]
fn images_of_other_sizes_are_resized_to_the_model_or_to_the_first() {
    let files = || {
        [
            ("a/1.png", png(40, 30, RED)),
            ("b/2.jpg", picture(9, 17, BLUE, ImageFormat::Jpeg)),
            ("b/3.png", png(16, 16, BLUE)),
        ]
    };
    let fixed = Dataset::from_zip(zip_of(files()).into(), ImageSpec::fixed(16, 16, 3)).unwrap();
    assert_eq!((fixed.len(), fixed.height(), fixed.width()), (3, 16, 16));
    let mean = |image: usize, channel: usize| {
        let pixels = bytes_of(&fixed)[image * 768..][..768].iter().skip(channel).step_by(3);
        pixels.map(|&value| f64::from(value)).sum::<f64>() / 256.0
    };
    assert!((mean(0, 0) - 207.5).abs() < 1.0 && (mean(0, 2) - 27.5).abs() < 1.0, "{} {}", mean(0, 0), mean(0, 2));
    assert!((mean(1, 2) - 207.5).abs() < 4.0 && (mean(1, 0) - 17.5).abs() < 6.0, "{} {}", mean(1, 2), mean(1, 0));

    let open = from_zip(zip_of(files())).unwrap();
    assert_eq!((open.height(), open.width()), (30, 40));
    let half =
        Dataset::from_zip(zip_of(files()).into(), ImageSpec { height: Some(10), ..ImageSpec::default() }).unwrap();
    assert_eq!((half.height(), half.width()), (10, 40));
}

#[test]
fn shrinking_averages_over_all_pixels() {
    // A plain bilinear lookup would lose the one white pixel or blow it up.
    let mut image = RgbImage::new(8, 8);
    image.put_pixel(2, 2, image::Rgb([255; 3]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let data = Dataset::from_zip(zip_of([("x.png", bytes.into_inner())]).into(), ImageSpec::fixed(2, 2, 1)).unwrap();
    assert_eq!(data.labels(), None);
    // What Pillow 13 gives for resize((2, 2), BILINEAR) of the same picture.
    assert_eq!(bytes_of(&data), [16, 2, 2, 0]);
}

#[test]
fn grey_models_get_luma() {
    let data = Dataset::from_zip(zip_of([("x.png", png(1, 1, RED))]).into(), ImageSpec::fixed(1, 1, 1)).unwrap();
    assert_eq!(bytes_of(&data), [68]);
    let wrong = Dataset::from_zip(zip_of([("x.png", png(1, 1, RED))]).into(), ImageSpec::fixed(1, 1, 4)).unwrap_err();
    assert_eq!(wrong.code(), Code::DataMismatch);
}

#[test]
fn a_broken_image_is_named() {
    let jpeg = picture(64, 64, RED, ImageFormat::Jpeg);
    let whole = png(8, 6, RED);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let cases = [
        ("cut.jpg", jpeg[..jpeg.len() - 40].to_vec()),
        ("header.jpg", jpeg[..20].to_vec()),
        ("cut.png", whole[..whole.len() / 2].to_vec()),
        ("damaged.png", damaged),
        ("empty.png", Vec::new()),
        ("text.jpg", b"not a picture at all".to_vec()),
        ("gif.png", b"GIF89a\x01\x00\x01\x00".to_vec()),
    ];
    for (name, bytes) in cases {
        let path = format!("b/{name}");
        let files = vec![("a/1.png", png(8, 6, RED)), (path.as_str(), bytes), ("c/3.png", png(8, 6, BLUE))];
        let error = from_zip(zip_of(files)).unwrap_err();
        assert_eq!(error.code(), Code::BadData, "{name}");
        assert!(error.message().starts_with(&path), "{error}");
    }
}

#[test]
fn what_is_no_usable_zip_is_refused() {
    let good = zip_of(two_classes());
    let mut checksum = zip_with(CompressionMethod::Stored, [("a/1.png", png(8, 6, RED)), ("b/1.png", png(8, 6, RED))]);
    checksum[60] ^= 1;
    let cases = [
        ("no zip", b"PK but not a zip".to_vec()),
        ("empty", Vec::new()),
        ("cut", good[..good.len() - 30].to_vec()),
        ("no images", zip_of([("a/readme.txt", b"x".to_vec())])),
        ("no files", zip_of([])),
        ("path", zip_of([("a/1.png", png(8, 6, RED)), ("../../b/1.png", png(8, 6, RED))])),
        ("checksum", checksum),
    ];
    for (what, bytes) in cases {
        assert_eq!(from_zip(bytes).unwrap_err().code(), Code::BadData, "{what}");
    }
}

#[test]
fn every_cut_and_every_flipped_byte_gives_an_answer() {
    let good = zip_of([("a/1.png", png(8, 6, RED)), ("b/2.jpg", picture(9, 7, BLUE, ImageFormat::Jpeg))]);
    for length in 0..good.len() {
        assert!(from_zip(good[..length].to_vec()).is_err(), "{length}");
    }
    let mut refused = 0;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        refused += usize::from(from_zip(bytes).is_err());
    }
    assert!(refused > good.len() / 2, "{refused} of {}", good.len());
}

#[test]
fn limits_hold_for_files_pixels_and_the_whole() {
    let load = |limits| ImageLoader::zip(zip_of(two_classes()).into(), ImageSpec::default(), limits)?.load_all();
    assert!(load(Limits::default()).is_ok());
    let too_small = [
        Limits { file_bytes: 50, ..Limits::default() },
        Limits { image_pixels: 47, ..Limits::default() },
        Limits { total_bytes: 3 * 6 * 8 * 3 - 1, ..Limits::default() },
    ];
    for limits in too_small {
        assert_eq!(load(limits).unwrap_err().code(), Code::TooLarge, "{limits:?}");
    }
    // 64 MiB of zeros pack to 64 KiB.
    let bomb = zip_of([("a.png", vec![0; 64 << 20])]);
    assert!(bomb.len() < 100_000);
    let limits = Limits { file_bytes: 1 << 20, ..Limits::default() };
    let error = ImageLoader::zip(bomb.into(), ImageSpec::default(), limits).unwrap().load_all().unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
}

#[test]
fn a_size_the_packed_bytes_cannot_reach_is_a_lie() {
    let honest = zip_of([("a.png", png(8, 6, RED))]);
    let directory = honest.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    let mut lying = honest;
    lying[directory + 24..directory + 28].copy_from_slice(&200_000_000_u32.to_le_bytes());
    let error = from_zip(lying).unwrap_err();
    assert_eq!(error.code(), Code::BadData);
    assert!(error.message().contains("cannot be"), "{error}");
}

#[test]
fn loading_in_pieces_gives_the_same_and_tells_what_remains() {
    let zip = Bytes::from(zip_of(two_classes()));
    let mut loader = ImageLoader::zip(zip.clone(), ImageSpec::default(), Limits::default()).unwrap();
    assert_eq!((loader.count(), loader.remaining()), (3, 3));
    assert_eq!(loader.load(1).unwrap(), 2);
    assert_eq!(loader.load(1).unwrap(), 1);
    assert_eq!(loader.load(99).unwrap(), 0);
    assert_eq!(loader.finish().unwrap(), Dataset::from_zip(zip.clone(), ImageSpec::default()).unwrap());
    let unread = ImageLoader::zip(zip, ImageSpec::default(), Limits::default()).unwrap();
    assert_eq!(unread.finish().unwrap_err().code(), Code::Usage);
}
