//! From words to values: an option with one value, with perhaps one, with many.

/// Exactly one value.
pub(super) fn one<T>(
    read: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&[String]) -> Result<T, String> {
    move |words| match words {
        [word] => read(word),
        _ => Err("allowed is one value".to_owned()),
    }
}

/// One value or none.
pub(super) fn maybe<T>(
    read: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&[String]) -> Result<Option<T>, String> {
    move |words| match words {
        [] => Ok(None),
        [word] => read(word).map(Some),
        _ => Err("allowed is one value".to_owned()),
    }
}

/// Any number of values; with several, the complaint names the one it is about.
pub(super) fn many<T>(
    read: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&[String]) -> Result<Vec<T>, String> {
    move |words| {
        let read_one = |word: &String| {
            read(word).map_err(|problem| match words.len() {
                1 => problem,
                _ => format!("'{word}': {problem}"),
            })
        };
        words.iter().map(read_one).collect()
    }
}
