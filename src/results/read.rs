//! Reading the files of a result folder, as netlab wrote them or as a spreadsheet saved them: with a byte order mark, CRLF,
//! semicolons or tabs between the fields, decimal commas, `TRUE` and `FALSE`.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use nix::fcntl::OFlag;
use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::metadata::SCHEMA_VERSION;
use super::row::Row;
use crate::error::{Error, Result};

/// The text of a file, without a byte order mark.
///
/// # Errors
/// Usage when it cannot be read, is no regular file (a FIFO or a terminal would be waited for), or is no UTF-8.
pub fn text(path: &Path) -> Result<String> {
    let cannot = || Error::usage(format!("{} cannot be read; name the result folder of a run", path.display()));
    let open = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let mut file = open.map_err(|cause| cannot().because(cause))?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Error::usage(format!("{} is no regular file; name the result folder of a run", path.display())));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|cause| cannot().because(cause))?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let (valid, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let what = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this is UTF-16",
            _ => "this is no UTF-8",
        };
        Error::usage(format!("{}:{}: {what}; save the file as UTF-8 text", path.display(), line_at(bytes, valid)))
    })
}

/// What a `run.json` says.
///
/// # Errors
/// As [`text`]; usage, with file and line, when it is malformed, or of a netlab whose tables this one does not know.
pub fn metadata<T: DeserializeOwned>(path: &Path) -> Result<T> {
    #[derive(Deserialize)]
    #[serde(default)]
    struct Version {
        schema_version: u64,
        netlab_version: String,
    }
    impl Default for Version {
        fn default() -> Version {
            Version { schema_version: SCHEMA_VERSION.into(), netlab_version: "?".to_owned() }
        }
    }
    let text = text(path)?;
    let malformed =
        |cause: serde_json::Error| Error::usage(format!("{}:{}", path.display(), cause.line())).because(cause);
    let Version { schema_version, netlab_version } = serde_json::from_str(&text).map_err(malformed)?;
    if schema_version > SCHEMA_VERSION.into() {
        return Err(Error::usage(format!(
            "{}: netlab {} wrote it, with schema version {schema_version}; this is netlab {}, which knows version \
             {SCHEMA_VERSION} and none above; use a newer netlab",
            path.display(),
            netlab_version.escape_debug(),
            env!("CARGO_PKG_VERSION"),
        )));
    }
    serde_json::from_str(&text).map_err(malformed)
}

/// The rows of a table. Columns it does not know are passed over; columns the table lacks, because an earlier netlab wrote
/// it, are empty.
///
/// # Errors
/// As [`text`]; usage, with file and line, when a row is cut off or malformed.
pub fn rows<R: Row>(path: &Path) -> Result<Vec<R>> {
    let text = text(path)?;
    let wrong = |line: usize, what: &str| Error::usage(format!("{}:{line}: {what}", path.display()));
    if text.trim_ascii().is_empty() {
        let columns = R::COLUMNS[..3].join(",");
        return Err(wrong(1, &format!("the file is empty; its first line names the columns: {columns},…")));
    }
    if !text.ends_with(['\n', '\r']) {
        // Might still parse, with the last figure short of digits.
        let line = line_at(text.as_bytes(), text.len());
        return Err(wrong(line, "the last row is cut off; complete it with a line end, or delete it"));
    }
    // Some spreadsheets say first what is between the fields.
    let start = if text.starts_with("sep=") { text.find('\n').map_or(0, |end| end + 1) } else { 0 };
    let table = &text[start..];
    let line = |byte: u64| {
        // Where a row starts, the end of the one before may be left over.
        let at = start + byte as usize;
        let row = at + text.as_bytes()[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line_at(text.as_bytes(), row)
    };
    let separator = separator::<R>(table);
    let mut reader = ReaderBuilder::new().delimiter(separator).from_reader(table.as_bytes());
    let malformed = |cause: &csv::Error| {
        let what = match cause.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} fields where the header names {expected_len}")
            }
            _ => cause.to_string(),
        };
        wrong(cause.position().map_or(1, |position| line(position.byte())), &what)
    };
    let header = reader.headers().map_err(|cause| malformed(&cause))?.clone();
    let columns = columns::<R>(&header).map_err(|what| wrong(line(0), &what))?;
    let decimal_comma = separator != b',';
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|cause| malformed(&cause))? {
        let fields = Fields { record: &record, columns: columns.iter(), named: (0, 0), decimal_comma };
        rows.push(R::deserialize(fields).map_err(|Wrong { column, what }| match column {
            Some(column) => {
                let row = line(record.position().map_or(0, csv::Position::byte));
                wrong(row, &format!("{}: {what}", R::COLUMNS[column]))
            }
            None => wrong(line(0), &what),
        })?);
    }
    Ok(rows)
}

/// The number of the line, from 1, that holds this byte.
fn line_at(text: &[u8], byte: usize) -> usize {
    let before = &text[..byte];
    let ends = before.iter().enumerate().filter(|(index, end)| match end {
        b'\n' => true,
        b'\r' => text.get(index + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count() + 1
}

/// What is between the fields: that by which most columns are known.
fn separator<R: Row>(table: &str) -> u8 {
    let header = table.lines().next().unwrap_or_default();
    let known = |separator: &u8| {
        let names = header.split(char::from(*separator)).map(|name| name.trim().trim_matches('"'));
        names.filter(|name| R::COLUMNS.contains(name)).count()
    };
    // Of equals the last one is taken.
    [b'\t', b';', b','].into_iter().max_by_key(known).unwrap_or(b',')
}

/// By known column: where it is in the table, and which of [`Row::COLUMNS`] it is.
fn columns<R: Row>(header: &StringRecord) -> Result<Vec<(usize, usize)>, String> {
    let index = |name: &str| R::COLUMNS.iter().position(|column| *column == name);
    let columns = header.iter().enumerate().filter_map(|(at, name)| Some((at, index(name)?)));
    let columns: Vec<(usize, usize)> = columns.collect();
    let twice = columns.iter().enumerate().find(|(at, (_, column))| columns[..*at].iter().any(|(_, c)| c == column));
    if let Some((_, (_, column))) = twice {
        return Err(format!("the column {} is there twice", R::COLUMNS[*column]));
    }
    if columns.is_empty() {
        let (first, right) = (header.iter().next().unwrap_or_default(), R::COLUMNS[..3].join(","));
        return Err(format!("'{}' begins no {}; right is {right},…", first.escape_debug(), R::FILE));
    }
    Ok(columns)
}

/// Why a row is none.
#[derive(Debug)]
struct Wrong {
    /// Index among [`Row::COLUMNS`]; `None` where the table lacks one.
    column: Option<usize>,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Wrong {
        Wrong { column: None, what: what.to_string() }
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong { column: None, what: format!("there is no column {field}") }
    }
}

/// The fields of a row, each named by its index among [`Row::COLUMNS`], which are the fields of the struct.
struct Fields<'a> {
    record: &'a StringRecord,
    columns: std::slice::Iter<'a, (usize, usize)>,
    /// The one of `columns` that was named last.
    named: (usize, usize),
    decimal_comma: bool,
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some(named) = self.columns.next() else { return Ok(None) };
        self.named = *named;
        let name: U64Deserializer<Wrong> = (named.1 as u64).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (at, column) = self.named;
        let value = Value { text: self.record.get(at).unwrap_or_default(), decimal_comma: self.decimal_comma };
        seed.deserialize(value).map_err(|wrong| Wrong { column: Some(column), ..wrong })
    }
}

/// One field.
struct Value<'a> {
    text: &'a str,
    decimal_comma: bool,
}

impl Value<'_> {
    fn is_no(&self, what: &str) -> Wrong {
        Wrong { column: None, what: format!("'{}' is no {what}", self.text.escape_debug()) }
    }

    fn whole<T: std::str::FromStr>(&self) -> Result<T, Wrong> {
        self.text.parse().map_err(|_| self.is_no("whole number"))
    }
}

/// The methods for whole numbers, all alike.
macro_rules! whole {
    ($($method:ident $visit:ident),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            visitor.$visit(self.whole()?)
        })+
    };
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Wrong;

    whole!(deserialize_u32 visit_u32, deserialize_u64 visit_u64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.text.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let is = |word: &str| self.text.eq_ignore_ascii_case(word);
        match (is("true"), is("false")) {
            (false, false) => {
                Err(Wrong { column: None, what: format!("'{}' is neither true nor false", self.text.escape_debug()) })
            }
            (yes, _) => visitor.visit_bool(yes),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let number = match self.decimal_comma {
            true => self.text.replace(',', ".").parse(),
            false => self.text.parse(),
        };
        visitor.visit_f64(number.map_err(|_| self.is_no("number"))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let name: StrDeserializer<'_, Wrong> = self.text.into_deserializer();
        visitor.visit_enum(name)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitClass;
    use crate::results::row::{HostRow, SampleRow};
    use crate::units::{Mode, Role};

    fn read<R: Row>(bytes: &[u8]) -> Result<Vec<R>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, bytes).unwrap();
        let named = path.display().to_string();
        rows(&path).map_err(|error| {
            assert_eq!(error.class(), ExitClass::Usage, "{error}");
            Error::usage(error.to_string().replace(&named, "t.csv"))
        })
    }

    fn samples() -> String {
        let header = SampleRow::COLUMNS.join(",");
        format!("{header}\n1f,c,unicast,1,h1,sender,0.25,0.125,9,0,,12\n1f,\"c, d\",chat,2,h2,server,0.5,0.25,,3,7,\n")
    }

    fn expected() -> Vec<SampleRow> {
        let row = SampleRow {
            run_id: "1f".to_owned(),
            condition: "c".to_owned(),
            mode: Mode::Unicast,
            trial: 1,
            host: "h1".to_owned(),
            role: Role::Sender,
            time_s: 0.25,
            interval_s: 0.125,
            link_tx_frames: Some(9),
            link_rx_frames: Some(0),
            cpu_kernel_rx_ns: None,
            cpu_app_ns: Some(12),
        };
        let other = SampleRow {
            condition: "c, d".to_owned(),
            mode: Mode::Chat,
            trial: 2,
            host: "h2".to_owned(),
            role: Role::Server,
            time_s: 0.5,
            interval_s: 0.25,
            link_tx_frames: None,
            link_rx_frames: Some(3),
            cpu_kernel_rx_ns: Some(7),
            cpu_app_ns: None,
            ..row.clone()
        };
        vec![row, other]
    }

    #[test]
    fn as_netlab_wrote_it_and_as_spreadsheets_save_it() {
        let plain = samples();
        let semicolons = plain.replace("\"c, d\"", "c| d").replace(',', ";").replace("c| d", "c, d");
        let commas = semicolons.replace('.', ",");
        for text in [
            plain.clone(),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "\r"),
            format!("\u{feff}{}", plain.replace('\n', "\r\n")),
            semicolons.clone(),
            commas.clone(),
            format!("\u{feff}sep=;\r\n{}", commas.replace('\n', "\r\n")),
            commas.replace(';', "\t"),
            plain.replace("run_id", "\"run_id\"").replace("h1", "\"h1\""),
        ] {
            assert_eq!(read::<SampleRow>(text.as_bytes()).unwrap(), expected(), "{text}");
        }
    }

    #[test]
    fn truth_may_be_in_capitals_and_columns_in_any_order() {
        // Those that every netlab has written.
        let fixed = HostRow::COLUMNS.iter().position(|column| *column == "cpu_method").unwrap() + 1;
        let header = HostRow::COLUMNS[..fixed].iter().rev().copied().collect::<Vec<_>>().join(";");
        let row = ";".repeat(fixed - 8) + ";;TRUE;receiver;h2;3;multicast;c;1f";
        let rows: Vec<HostRow> = read(format!("x;{header}\n?{row}\n").as_bytes()).unwrap();
        let row = HostRow { counts_valid: false, ..HostRow::new("1f", "c", Mode::Multicast, 3, "h2", Role::Receiver) };
        assert_eq!(rows, [row]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_however_lines_end() {
        let wrong = |text: &str| read::<SampleRow>(text.as_bytes()).unwrap_err().to_string();
        for end in ["\n", "\r\n", "\r"] {
            let with = |from: &str, to: &str| wrong(&samples().replace(from, to).replace('\n', end));
            assert_eq!(with("0.5", "0;5"), "t.csv:3: time_s: '0;5' is no number");
            assert_eq!(with(",9,", ",1E+08,"), "t.csv:2: link_tx_frames: '1E+08' is no whole number");
            assert_eq!(with(",9,", ",-9,"), "t.csv:2: link_tx_frames: '-9' is no whole number");
            assert_eq!(with("chat,2", "chat,"), "t.csv:3: trial: '' is no whole number");
            assert_eq!(with(",3,7,", ",3,7"), "t.csv:3: 11 fields where the header names 12");
            assert!(
                with("server", "boss").starts_with("t.csv:3: role: unknown variant `boss`, expected one of `sender`")
            );
            assert_eq!(with("trial", "host"), "t.csv:1: the column host is there twice");
            assert_eq!(with("trial", "try"), "t.csv:1: there is no column trial");
            // A row of two lines is where it begins.
            assert!(with("\"c, d\",chat", "\"c\nd\",cat").starts_with("t.csv:3: mode: unknown variant `cat`"));
        }
        assert_eq!(
            wrong(samples().trim_end()),
            "t.csv:3: the last row is cut off; complete it with a line end, or delete it"
        );
        assert_eq!(
            wrong("sep=;\na;b\n1;2\n"),
            "t.csv:2: 'a;b' begins no samples.csv; right is run_id,condition,mode,…"
        );
        for empty in ["", "\n", "\u{feff} \r\n"] {
            assert_eq!(
                wrong(empty),
                "t.csv:1: the file is empty; its first line names the columns: run_id,condition,mode,…"
            );
        }
    }

    #[test]
    fn a_run_of_a_later_netlab_is_refused_by_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            metadata::<serde_json::Value>(&path).map_err(|error| error.to_string())
        };
        let error = of(r#"{"netlab_version": "7.1.0", "schema_version": 2, "warnings": 1}"#).unwrap_err();
        for words in ["run.json: netlab 7.1.0 wrote it, with schema version 2;", "knows version 1", "newer netlab"] {
            assert!(error.contains(words), "{error}");
        }
        assert!(of(r#"{"schema_version": 1}"#).is_ok() && of("{}").is_ok() && of("\u{feff}{}").is_ok());
        assert!(of("{\n\"schema_version\": \"one\"}").unwrap_err().contains("run.json:2: "));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let wrong = |bytes: &[u8]| read::<SampleRow>(bytes).unwrap_err().to_string();
        assert_eq!(wrong(b"a,b\n\xb5,1\n"), "t.csv:2: this is no UTF-8; save the file as UTF-8 text");
        assert_eq!(wrong(b"\xff\xfea\0"), "t.csv:1: this is UTF-16; save the file as UTF-8 text");
    }
}
