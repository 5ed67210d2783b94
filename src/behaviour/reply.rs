//! Answers of a server as text, so that a row compares what a person would read.

use redis::Value;

/// The text of an answer: `nil`, `OK`, `5`, the words of a string, `[a, b]` for several, and the
/// error's text where one of several was refused. What has no order is sorted.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::SimpleString(text) => text.clone(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(values) => several(values.iter().map(text).collect()),
        Value::Set(values) => {
            let mut words: Vec<String> = values.iter().map(text).collect();
            words.sort_unstable();
            several(words)
        }
        Value::Map(pairs) => {
            let words = pairs.iter().map(|(key, value)| {
                let (key, value) = (text(key), text(value));
                format!("{key}: {value}")
            });
            several(words.collect())
        }
        Value::ServerError(error) => {
            let detail = error.details().unwrap_or_default();
            format!("{} {detail}", error.code()).trim_end().to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn several(words: Vec<String>) -> String {
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Value::Nil, "nil")]
    #[case(Value::Okay, "OK")]
    #[case(Value::Int(-3), "-3")]
    #[case(Value::BulkString(b"a b".to_vec()), "a b")]
    #[case(
        Value::Array(vec![Value::Int(1), Value::Array(vec![Value::Nil])]),
        "[1, [nil]]"
    )]
    #[case(Value::Array(vec![]), "[]")]
    #[case(
        Value::Set(vec![Value::SimpleString("b".into()), Value::SimpleString("a".into())]),
        "[a, b]"
    )]
    fn an_answer_is_what_a_person_reads(#[case] reply: Value, #[case] wanted: &str) {
        assert_eq!(text(&reply), wanted);
    }
}
