//! The document as data: its sections, their tables, and the bytes and bits of its examples.

use tickwire::proto::wire::BitBuffer;

pub(crate) struct Document {
    text: String,
}

impl Document {
    /// The document as it is in the repository.
    pub(crate) fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol.md");
        let text = std::fs::read_to_string(path).expect("the document exists");
        Self { text }
    }

    /// The same with one passage exchanged, for tests of the tests.
    pub(crate) fn doctored(&self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "`{from}` is in the document");
        Self {
            text: self.text.replacen(from, to, 1),
        }
    }

    /// What stands between a heading and the next one. A section is named by its number.
    fn section(&self, number: &str) -> &str {
        let is_heading = |line: &str| {
            let mut words = line.split(' ');
            let hashes = words.next().unwrap_or_default();
            let name = words.next().unwrap_or_default();
            hashes.len() > 1
                && hashes.bytes().all(|byte| byte == b'#')
                && name.trim_end_matches('.') == number
        };
        let mut offset = 0;
        for line in self.text.split_inclusive('\n') {
            offset += line.len();
            if is_heading(line.trim_end()) {
                let rest = &self.text[offset..];
                return &rest[..rest.find("\n#").unwrap_or(rest.len())];
            }
        }
        panic!("the document has no section {number}");
    }

    /// The rows of a section's tables, without their heads; code marks are taken off.
    pub(crate) fn rows(&self, section: &str) -> Vec<Vec<String>> {
        let lines: Vec<&str> = self.section(section).lines().collect();
        let is_row = |line: &str| line.starts_with('|');
        let is_rule = |line: &str| line.starts_with("|--");
        let heads = |at: usize| lines.get(at + 1).is_some_and(|next| is_rule(next));
        lines
            .iter()
            .enumerate()
            .filter(|(at, line)| is_row(line) && !is_rule(line) && !heads(*at))
            .map(|(_, line)| {
                let cells = line.trim_matches('|').split('|');
                cells
                    .map(|cell| cell.trim().trim_matches('`').to_owned())
                    .collect()
            })
            .collect()
    }

    /// The lines of a fenced block, without what stands behind a semicolon.
    fn fenced(&self, name: &str) -> Vec<&str> {
        let open = format!("```{name}\n");
        let start = self.text.find(&open);
        let start = start.unwrap_or_else(|| panic!("the document has no block `{name}`"));
        let rest = &self.text[start + open.len()..];
        let block = &rest[..rest.find("```").expect("the block ends")];
        block
            .lines()
            .map(|line| line.split(';').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// The bytes of an example.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let lines = self.fenced(&format!("hex {name}"));
        let tokens = lines.iter().flat_map(|line| line.split_whitespace());
        tokens
            .map(|token| u8::from_str_radix(token, 16).expect("two hexadecimal digits"))
            .collect()
    }

    /// The bits of an example, packed: `v :n` is a number in n bits, `v ~k` an exponential Golomb code of order k.
    pub(crate) fn bits(&self, name: &str) -> Vec<u8> {
        let mut bits = BitBuffer::new();
        for line in self.fenced(&format!("bits {name}")) {
            let (value, form) = line.split_once(' ').expect("a value and its form");
            let value: u32 = value.parse().expect("a number");
            if let Some(width) = form.strip_prefix(':') {
                bits.push(value, width.parse().expect("a width"));
            } else if let Some(order) = form.strip_prefix('~') {
                push_number(&mut bits, value, order.parse().expect("an order"));
            } else {
                panic!("`{line}` has neither width nor order");
            }
        }
        let mut out = vec![0; bits.byte_len()];
        bits.copy_to(&mut out).expect("the buffer has the length");
        out
    }
}

/// Section 8.2, word by word.
fn push_number(bits: &mut BitBuffer, value: u32, order: u32) {
    let q = (value >> order) + 1;
    let m = 31 - q.leading_zeros();
    bits.push(0, m);
    bits.push(1, 1);
    bits.push(q, m);
    bits.push(value, order);
}
