use proptest::prelude::*;

use super::*;

const LARGEST: usize = 1 << 20;

fn place(tenant: &str, key: &str) -> Place {
    Place {
        tenant: TenantId::new(tenant).unwrap(),
        key: CacheKey::new("test", &blake3::hash(key.as_bytes())),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn entry(json: &str) -> Entry {
    Entry::new(7, seconds(10), seconds(20), json.as_bytes().to_vec(), Some(1024))
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        serial: u64,
        epoch: u64,
        times in prop::array::uniform3(0_u64..34_000_000_000),
        json in prop::collection::vec(any::<u8>(), 0..5000),
        compress_over in prop::option::of(0_usize..2000),
        schema: u32,
    ) {
        let mut times = times.map(Duration::from_millis);
        times.sort_unstable();
        let mut entry = Entry::new(serial, times[1], times[2], json.clone(), compress_over);
        (entry.age, entry.epoch) = (times[0], epoch);
        let place = place("t", "a");

        let decoded = Entry::decode(&place, schema, &entry.encode(&place, schema)).unwrap();

        prop_assert_eq!(&decoded, &entry);
        prop_assert_eq!(&*decoded.json(LARGEST).unwrap(), &*json);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_are_no_entry(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(Entry::decode(&place("t", "a"), 1, &bytes.into()), Err(Invalid));
    }

    #[test]
    fn one_changed_bit_is_no_entry(at: prop::sample::Index, bit in 0..8_u32) {
        let place = place("t", "a");
        let mut bytes = entry("\"a value\"").encode(&place, 1).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;

        prop_assert_eq!(Entry::decode(&place, 1, &bytes.into()), Err(Invalid));
    }
}

#[test]
fn an_entry_belongs_to_its_tenant_its_key_and_its_schema() {
    let own = place("t", "a");
    let bytes = entry("1").encode(&own, 1);

    assert!(Entry::decode(&own, 1, &bytes).is_ok());
    for (other, schema) in [(place("u", "a"), 1), (place("t", "b"), 1), (own, 2)] {
        assert_eq!(Entry::decode(&other, schema, &bytes), Err(Invalid));
    }
}

#[test]
fn times_that_make_no_sense_are_no_entry() {
    let place = place("t", "a");
    let sensible = entry("1");
    let with = |change: fn(&mut Entry)| {
        let mut entry = sensible.clone();
        change(&mut entry);
        Entry::decode(&place, 1, &entry.encode(&place, 1))
    };

    assert!(with(|_| {}).is_ok());
    assert_eq!(with(|entry| entry.fresh_for = seconds(21)), Err(Invalid));
    assert_eq!(with(|entry| entry.age = seconds(21)), Err(Invalid));
    // Longer than anything is kept: written as the longest time there is.
    let kept = with(|entry| entry.kept_for = Duration::MAX).unwrap().kept_for;
    assert_eq!(kept, LONGEST);
}

#[test]
fn only_what_gets_shorter_is_compressed() {
    let same = "a".repeat(5000);
    assert!(entry(&same).body.len() < 100);
    assert_eq!(entry(&same[..1024]).body.len(), 1024);
    // Noise does not get shorter.
    let noise: String = (0..200_u32)
        .map(|number| blake3::hash(&number.to_le_bytes()).to_string())
        .collect();
    let bytes: Vec<u8> = (0..400_u32)
        .flat_map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes())
        .collect();
    assert!(entry(&noise).body.len() < noise.len());
    let kept = Entry::new(7, seconds(1), seconds(1), bytes.clone(), Some(1024));
    assert_eq!((kept.is_deflated, &*kept.body), (false, &*bytes));
}

#[test]
fn a_body_that_unfolds_without_end_is_refused() {
    let bomb = Entry::new(7, seconds(1), seconds(1), vec![b' '; 1_000_000], Some(1024));
    assert!(bomb.body.len() < 10_000);

    assert_eq!(bomb.json(10_000), Err(Invalid));
    assert_eq!(bomb.json(100_000).map(|json| json.len()), Ok(1_000_000));
}

#[test]
fn a_deflated_body_that_is_none_is_refused() {
    let mut broken = entry(&"a".repeat(5000));
    broken.body = Bytes::from_static(b"\xff\xff\xff\xff");

    assert_eq!(broken.json(LARGEST), Err(Invalid));
}
