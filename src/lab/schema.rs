//! `labs/schema.json`, made from the structs of [`file`](super::file) and kept in step by the test below.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Bound;
use super::claim::{Expect, Tolerance};
use super::file::{IgmpTable, LabFile};
use super::value::{
    BROADCAST_ADDRESSES, Bits, Distance, HOST_ROLES, Name, Qos, SUSTAINABLE, Several, Spot, Table, Text, WantedRate,
};
use crate::chat::options::Relay;
use crate::lan::{Igmp, Nic, SwitchKind};
use crate::results::factor::Factor;
use crate::run::{Attribution, BroadcastAddress};
use crate::units::{Bytes, Mode, Rate, Role};

/// How a value is written, as JSON Schema.
trait Described {
    /// What it is called in the schema.
    const NAME: &'static str;

    fn described(generator: &mut SchemaGenerator) -> Schema;
}

macro_rules! described {
    ($($type:ty: $schema:tt),* $(,)?) => {
        $(impl Described for $type {
            const NAME: &'static str = stringify!($type);

            fn described(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

described! {
    Text: {"type": "string", "minLength": 1},
    Name: {"type": "string", "minLength": 1, "maxLength": 40},
    Mode: {"enum": (Mode::ALL.map(Mode::as_str))},
    SwitchKind: {"enum": (SwitchKind::ALL.map(SwitchKind::as_str))},
    Nic: {"enum": (Nic::ALL.map(Nic::as_str))},
    Role: {"enum": (HOST_ROLES.map(Role::as_str))},
    BroadcastAddress: {"enum": (BROADCAST_ADDRESSES.map(|address| address.to_string()))},
    Attribution: {"enum": (Attribution::ALL.map(Attribution::as_str))},
    Relay: {"enum": (Relay::ALL.map(Relay::as_str))},
    Qos: {"enum": [0, 1]},
    Factor: {"enum": (Factor::numbers().map(|factor| factor.about().key).collect::<Vec<_>>())},
    Expect: {"enum": (Expect::ALL.map(Expect::as_str))},
    usize: {"type": "integer", "minimum": 1},
    u32: {"type": "integer", "minimum": 1},
    u8: {"type": "integer", "minimum": 1, "maximum": 255},
    f64: {"type": "number"},
    bool: {"type": "boolean"},
    IpAddr: {"type": "string", "examples": ["239.1.1.1", "ff12::1"]},
    Duration: {"type": "string", "examples": ["400ms", "1s"]},
    Distance: {"type": "string", "examples": ["0ms", "20ms"]},
    Bytes: {"type": ["integer", "string"], "examples": [64, "8k"]},
    Bits: {"type": ["integer", "string"], "examples": ["10M"]},
    Rate: {"type": ["number", "string"], "examples": [500, "10k", "max"]},
    WantedRate: {"type": ["number", "string"], "examples": [500, "10k", "max", SUSTAINABLE]},
    Bound: {"type": ["number", "string"], "examples": [1, "2 * receivers"]},
    Tolerance: {"type": ["number", "string"], "examples": ["1 %", 0.5]},
}

impl Described for Igmp {
    const NAME: &'static str = "Igmp";

    fn described(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<IgmpTable>();
        json_schema!({"anyOf": [{"enum": [2, 3]}, table]})
    }
}

impl<T: Described> JsonSchema for Spot<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::described(generator)
    }
}

impl<T: Described> JsonSchema for Several<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Several_{}", T::NAME).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Spot<T>>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": true}]})
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// TOML has no null: what may be left out is left out.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|one| !one.is_null());
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|one| one["type"] != "null");
        if let [Value::Object(one)] = &mut any[..] {
            let one = std::mem::take(one);
            object.remove("anyOf");
            object.extend(one);
        }
    }
}

#[test]
fn the_schema_is_that_of_the_format() {
    let mut settings = SchemaSettings::draft07();
    // Before the others, which see to what may stand beside a reference.
    settings.transforms.insert(0, Box::new(RecursiveTransform(without_null)));
    let schema = settings.into_generator().into_root_schema_for::<LabFile>();
    let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs/schema.json");
    if std::env::var_os("NETLAB_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == schema, "labs/schema.json is out of step; run this test with NETLAB_WRITE_SCHEMA=1 to write it");
}
