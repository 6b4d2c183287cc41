//! Normalised, augmented batches and thumbnails.

use super::*;

/// Two 2 x 3 colour images with bytes 0, 1, 2, ...
fn counting() -> Dataset {
    let names = vec!["first".into(), "second".into()];
    Dataset::from_bytes((2, 3, 3), (0..36).collect(), vec![1, 0], vec!["a".into(), "b".into()], names).unwrap()
}

#[test]
fn a_batch_is_planes_of_normalised_values_in_the_order_asked_for() {
    let batch = counting().gather(&[1, 0], &Normalization::none(), None).unwrap();
    assert_eq!((batch.shape, batch.labels), ([2, 3, 2, 3], Some(vec![0, 1])));
    let bytes: Vec<u8> = batch.images.iter().map(|value| (value * 255.0).round() as u8).collect();
    assert_eq!(bytes[..6], [18, 21, 24, 27, 30, 33]);
    assert_eq!(bytes[6..12], [19, 22, 25, 28, 31, 34]);
    assert_eq!(bytes[18..24], [0, 3, 6, 9, 12, 15]);
    let scaled = counting().gather(&[0], &Normalization::imagenet(), None).unwrap();
    assert_eq!(scaled.images[0], (0.0 - 0.485) / 0.229);
    assert_eq!(scaled.images[17], (17.0_f32 / 255.0 - 0.406) / 0.225);
}

#[test]
fn floats_are_taken_as_they_are() {
    let floats: Vec<u8> = [0.5_f32, -2.0, 7.0, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let data = from_npz([("images.npy", npy("<f4", false, "(1, 2, 1, 2)", &floats))]).unwrap();
    assert_eq!(data.gather(&[0], &Normalization::none(), None).unwrap().images, [0.5, -2.0, 7.0, 1.0]);
    let scaled = data.gather(&[0], &"1,0/2,4".parse().unwrap(), None).unwrap();
    assert_eq!((scaled.images, scaled.labels), (vec![-0.25, -1.5, 1.75, 0.25], None));
}

#[test]
fn a_wrong_index_or_normalisation_is_refused() {
    let error = counting().gather(&[2], &Normalization::none(), None).unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    let error = counting().gather(&[0], &"0,0/1,1".parse().unwrap(), None).unwrap_err();
    assert_eq!(error.code(), Code::DataMismatch);
}

/// What augmentation should give, pixel by pixel: pad, cut out, mirror.
fn expected(data: &Dataset, image: usize, augment: Augment, normalization: &Normalization) -> Vec<f32> {
    let (rows, columns, channels) = (data.height() as isize, data.width() as isize, data.channels());
    let shift = augment.draw(image as u32, data.height(), data.width());
    let scales = normalization.of_channels(channels).unwrap();
    let mut values = Vec::new();
    for (channel, (mean, std)) in scales.into_iter().enumerate() {
        for y in 0..rows {
            for x in 0..columns {
                if shift.hole.as_ref().is_some_and(|[r, c]| r.contains(&(y as usize)) && c.contains(&(x as usize))) {
                    values.push(0.0);
                    continue;
                }
                let x = if shift.mirror { columns - 1 - x } else { x };
                let (y, x) = (y + shift.down, x + shift.right);
                let inside = (0..rows).contains(&y) && (0..columns).contains(&x);
                let at = |y: isize, x: isize| ((image as isize * rows + y) * columns + x) as usize * channels + channel;
                let value = if inside { f32::from(bytes_of(data)[at(y, x)]) / 255.0 } else { 0.0 };
                values.push((value - mean) / std);
            }
        }
    }
    values
}

#[test]
fn augmentation_pads_cuts_and_mirrors() {
    let pixels: Vec<u8> = (0..40 * 7 * 5 * 3).map(|value| (value * 37 % 251) as u8).collect();
    let names = vec![String::new(); 40];
    let data = Dataset::from_bytes((7, 5, 3), pixels, vec![0; 40], Vec::new(), names).unwrap();
    let (cifar, mut changed) = (Normalization::cifar10(), 0);
    for image in 0..40 {
        // Padding beyond the image's own width too: some windows are all black.
        let augment = Augment { padding: 6, flip: image % 2 == 0, cutout: image as u32 % 5, seed: 3, epoch: 1 };
        let batch = data.gather(&[image as u32], &cifar, Some(augment)).unwrap();
        assert_eq!(batch.images, expected(&data, image, augment, &cifar));
        assert_eq!(batch, data.gather(&[image as u32], &cifar, Some(augment)).unwrap());
        let next = Augment { epoch: 2, ..augment };
        changed += usize::from(batch != data.gather(&[image as u32], &cifar, Some(next)).unwrap());
    }
    assert!(changed > 35, "{changed}");
    // A batch's company does not change what happens to an image.
    let together = data.gather(&[4, 9], &cifar, Some(Augment::new(1, 0))).unwrap();
    assert_eq!(together.images[105..], data.gather(&[9], &cifar, Some(Augment::new(1, 0))).unwrap().images);
}

#[test]
fn thumbnails_come_from_every_class() {
    let labels: Vec<u32> = [vec![0; 20], vec![1; 2], vec![2; 10]].concat();
    let names: Vec<String> = (0..32).map(|image| format!("{image}.png")).collect();
    let classes = vec!["a".into(), "b".into(), "c".into()];
    let data = Dataset::from_bytes((1, 2, 1), (0..64).collect(), labels, classes, names).unwrap();
    let shown = data.thumbnails(9);
    let labels: Vec<u32> = shown.iter().filter_map(|thumbnail| thumbnail.label).collect();
    assert_eq!(labels, [0, 0, 0, 0, 1, 1, 2, 2, 2]);
    assert_eq!(shown.iter().map(|thumbnail| thumbnail.image).collect::<Vec<_>>(), [0, 5, 10, 15, 20, 21, 22, 25, 28]);
    assert_eq!((&shown[1].rgba[..], shown[1].name.as_str()), (&[10, 10, 10, 255, 11, 11, 11, 255][..], "5.png"));
    assert_eq!(data.thumbnails(500).len(), 32);
    assert!(data.thumbnails(0).is_empty());

    let floats: Vec<u8> = [-1.0_f32, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let data = from_npz([("images.npy", npy("<f4", false, "(1, 1, 1, 2)", &floats))]).unwrap();
    assert_eq!(data.thumbnails(1)[0].rgba, [0, 0, 0, 255, 255, 255, 255, 255]);
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let make = |pixels, labels: &[u32], names: usize, classes: &[&str]| {
        let classes = classes.iter().map(|name| (*name).to_owned()).collect();
        Dataset::from_bytes((1, 1, 3), pixels, labels.to_vec(), classes, vec![String::new(); names])
    };
    assert!(make(vec![0; 6], &[0, 1], 2, &["a", "b"]).is_ok());
    for (pixels, labels, names, classes) in
        [(5, &[0, 1][..], 2, &[][..]), (6, &[0, 1], 1, &[]), (6, &[0, 2], 2, &["a", "b"]), (0, &[], 0, &[])]
    {
        assert_eq!(make(vec![0; pixels], labels, names, classes).unwrap_err().code(), Code::BadData);
    }
    let unnamed = make(vec![0; 6], &[0, 41], 2, &[]).unwrap();
    assert_eq!((unnamed.class_count(), unnamed.class_name(41)), (42, "41".into()));
}

#[test]
fn what_images_ask_for_follows_them() {
    // Every pixel is its own class, so that the two can be compared after any move.
    let pixels: Vec<u8> = (0..6 * 5 * 4).map(|v| (v * 7 % 200 + 1) as u8).collect();
    let places = npy("|u1", false, "(6, 5, 4)", &pixels);
    let data = from_npz([("images", npy("|u1", false, "(6, 5, 4)", &pixels)), ("targets", places)]).unwrap();
    let augment = Augment { padding: 3, flip: true, cutout: 0, seed: 2, epoch: 4 };
    let all: Vec<u32> = (0..6).collect();
    let moved = data.gather(&all, &Normalization::none(), Some(augment)).unwrap();
    let Some(Targets::Places { dims, classes }) = moved.targets else { panic!() };
    let seen: Vec<u8> =
        moved.images.iter().map(|v| (v * 255.0).round() as u8).map(|v| if v == 0 { 255 } else { v }).collect();
    assert_eq!((dims, &classes), (vec![5, 4], &seen));
    assert!(classes != pixels && classes.contains(&255));
    let still = data.gather(&[4], &Normalization::none(), None).unwrap().targets;
    assert_eq!(still, Some(Targets::Places { dims: vec![5, 4], classes: pixels[80..100].to_vec() }));

    let numbers = |shape: &str, count: usize| {
        let floats: Vec<u8> = (0..count).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let array = npy("<f4", false, shape, &floats);
        from_npz([("images", npy("|u1", false, "(6, 5, 4)", &pixels)), ("targets", array)]).unwrap()
    };
    let flip = Augment { padding: 0, ..augment };
    let planes = numbers("(6, 1, 5, 4)", 120).gather(&all, &Normalization::none(), Some(flip)).unwrap();
    let Some(Targets::Values { values, .. }) = planes.targets else { panic!() };
    let rows = |v: &[f32]| v.chunks(4).map(|r| r[0] < r[3]).collect::<Vec<_>>();
    assert!(rows(&values).contains(&true) && rows(&values).contains(&false), "some images are mirrored");
    let refused = numbers("(6, 1, 5, 4)", 120).gather(&all, &Normalization::none(), Some(augment));
    assert_eq!(refused.unwrap_err().code(), Code::Usage);
    let whole = numbers("(6, 2)", 12).gather(&[5], &Normalization::none(), Some(augment)).unwrap().targets;
    assert_eq!(whole, Some(Targets::Values { dims: vec![2], values: vec![10.0, 11.0] }));
}
