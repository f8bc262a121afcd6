//! Sessions with a registry that are right, as `arbitrary` reads them: a variant of an enum is four
//! bytes, and before each element of a list is a byte that says that one follows.

/// Images that are pushed, damaged, healed and collected, and a blob that comes in pieces.
pub fn sessions() -> Vec<(&'static str, Vec<u8>)> {
    let (empty, layer) = (variant(0, 5), [variant(1, 5), vec![0]].concat());
    let repository = variant(0, 5);
    let push = |content: &[u8]| [variant(1, 6), repository.clone(), content.into()].concat();
    let image = [variant(0, 2), vec![1, 0, 0]].concat();
    let put = [variant(2, 6), repository.clone(), variant(0, 2), image.clone()].concat();
    let damage = |target: &[u8]| [variant(3, 6), target.into(), vec![0]].concat();
    let (clean_up, restart) = (variant(4, 6), variant(5, 6));
    let image_pushed = [push(&empty), push(&layer), put.clone()];

    let damaged_layer = damage(&[variant(0, 3), layer.clone()].concat());
    let damaged_manifest = damage(&[variant(1, 3), image].concat());
    let healed = [&image_pushed[..], &[damaged_layer, clean_up.clone(), push(&layer)]].concat();
    let put_again = [&image_pushed[..], &[damaged_manifest, clean_up.clone(), put]].concat();

    let digest = list(&[[variant(0, 6), variant(0, 3), layer.clone()].concat()]);
    let request = |method: usize, path: Vec<u8>, query: Vec<u8>, body: &[u8]| {
        [variant(0, 6), variant(method, 7), path, query, list(&[]), body.into(), vec![0]].concat()
    };
    let uploads = [variant(8, 11), repository.clone()].concat();
    let upload = [variant(9, 11), repository.clone(), vec![0]].concat();
    let in_pieces = [
        request(3, uploads, list(&[]), &empty),
        request(4, upload.clone(), list(&[]), &layer),
        restart.clone(),
        request(0, upload.clone(), list(&[]), &empty),
        request(2, upload, digest, &empty),
    ];
    let blob = [variant(4, 11), repository.clone(), variant(0, 3), layer.clone()].concat();
    let tagged = [variant(5, 11), repository, variant(0, 2)].concat();
    let deleted = [
        &image_pushed[..],
        &[request(5, blob.clone(), list(&[]), &empty), request(5, tagged, list(&[]), &empty)],
        &[clean_up.clone(), request(1, blob, list(&[]), &empty)],
    ];
    [
        ("image", [&image_pushed[..], &[clean_up, restart]].concat()),
        ("healed-layer", healed),
        ("healed-manifest", put_again),
        ("pieces", in_pieces.into()),
        ("deleted", deleted.concat()),
    ]
    .into_iter()
    .map(|(name, steps)| (name, [vec![1], list(&steps)].concat()))
    .collect()
}

/// A variant of an enum of so many.
fn variant(index: usize, of: usize) -> Vec<u8> {
    let begin = ((index as u64) << 32).div_ceil(of as u64);
    (begin as u32).to_le_bytes().into()
}

fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut all: Vec<u8> =
        elements.iter().flat_map(|element| [&[1], element.as_slice()].concat()).collect();
    all.push(0);
    all
}
