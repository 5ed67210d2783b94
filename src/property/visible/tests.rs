//! Hand-written replies and latencies.

use super::*;
use rstest::rstest;

fn no_answer() -> Result<Value, ClientError> {
    Err(ClientError::Unknown("timed out".to_owned()))
}

const BYTES: &[u8] = b"\x00\xff\r\n";

#[rstest]
#[case::the_value_itself_holds(Ok(bulk("v")), bulk("v"), Ok(()))]
#[case::any_bytes_holds(Ok(bulk(BYTES)), bulk(BYTES), Ok(()))]
#[case::unicode_holds(Ok(bulk("wert-ü")), bulk("wert-ü"), Ok(()))]
#[case::the_empty_value_holds(Ok(bulk("")), bulk(""), Ok(()))]
#[case::nothing_yet_broken(Ok(Value::Nil), bulk("v"), Err("nil"))]
#[case::nothing_is_not_the_empty_value_broken(Ok(Value::Nil), bulk(""), Err("nil"))]
#[case::another_value_broken(Ok(bulk("w")), bulk("v"), Err("bulk-string('\"w\"')"))]
#[case::a_number_is_not_its_text_broken(Ok(Value::Int(1)), bulk("1"), Err("int(1)"))]
#[case::half_a_transaction_broken(
    Ok(Value::Array(vec![bulk("1"), Value::Nil])), Value::Array(vec![bulk("1"), bulk("42")]),
    Err("array([bulk-string('\"1\"'), nil])")
)]
#[case::the_node_does_not_answer_broken(no_answer(), bulk("v"), Err("no answer: timed out"))]
fn visible(
    #[case] seen: Result<Value, ClientError>,
    #[case] wanted: Value,
    #[case] judged: Result<(), &str>,
) {
    assert_eq!(shows(seen, &wanted), judged.map_err(str::to_owned));
}

fn latencies(micros: &[u64]) -> Latencies {
    let named = |(n, m): (usize, &u64)| (format!("n{n}"), Duration::from_micros(*m));
    Latencies(micros.iter().enumerate().map(named).collect())
}

#[rstest]
#[case::no_node(&[], 0, "")]
#[case::one_node(&[1500], 1500, "n0 1.5 ms")]
#[case::the_slowest_in_the_middle(&[100, 36_000, 200], 36_000, "n0 0.1 ms, n1 36.0 ms, n2 0.2 ms")]
fn latencies_name_every_node(#[case] micros: &[u64], #[case] slowest: u64, #[case] text: &str) {
    let latencies = latencies(micros);
    assert_eq!(latencies.slowest(), Duration::from_micros(slowest));
    assert_eq!(latencies.to_string(), text);
}
