//! docs/plan.schema.json: every plan that is written is valid by it, and it knows the fields that the reader knows.

use fewstep_sampler::{Grid, Method, PlanFile, Request, Schedule};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/plan.schema.json");

/// Whether `value` is what `schema` says, with the keywords that ours has; any other is a mistake here.
fn valid(value: &Value, schema: &Value) -> bool {
    let number = |word: &str| schema[word].as_f64().unwrap();
    let listed = |word: &str| schema[word].as_array().unwrap();
    let length = |word: &str| schema[word].as_u64().unwrap() as usize;
    let holds = |word: &str| match word {
        "$schema" | "title" | "description" => true,
        "type" => match schema["type"].as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
            other => panic!("type {other}"),
        },
        "const" => *value == schema["const"],
        "enum" => listed("enum").contains(value),
        "minimum" => value.as_f64().is_none_or(|value| value >= number("minimum")),
        "maximum" => value.as_f64().is_none_or(|value| value <= number("maximum")),
        "exclusiveMinimum" => value.as_f64().is_none_or(|value| value > number("exclusiveMinimum")),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= length("minLength")),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= length("maxLength")),
        "minItems" => value.as_array().is_none_or(|items| items.len() >= length("minItems")),
        "maxItems" => value.as_array().is_none_or(|items| items.len() <= length("maxItems")),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(item, &schema["items"]))),
        "required" => listed("required").iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "properties" => {
            let of = |(name, schema): (&String, &Value)| value.get(name).is_none_or(|value| valid(value, schema));
            schema["properties"].as_object().unwrap().iter().all(of)
        }
        "additionalProperties" => {
            assert_eq!(schema["additionalProperties"], false);
            let known = schema["properties"].as_object().unwrap();
            value.as_object().is_none_or(|fields| fields.keys().all(|name| known.contains_key(name)))
        }
        "oneOf" => listed("oneOf").iter().filter(|schema| valid(value, schema)).count() == 1,
        "anyOf" => listed("anyOf").iter().any(|schema| valid(value, schema)),
        "not" => !valid(value, &schema["not"]),
        "contains" => value.as_array().is_none_or(|items| items.iter().any(|item| valid(item, &schema["contains"]))),
        "if" => !valid(value, &schema["if"]) || valid(value, &schema["then"]),
        // Beside "if".
        "then" => true,
        "pattern" => value.as_str().is_none_or(|text| match schema["pattern"].as_str().unwrap() {
            LINE => !text.chars().any(char::is_control),
            THRESHOLD => {
                let fixed = ["none", "clip", "dynamic"].contains(&text);
                fixed || text.strip_prefix("dynamic-").is_some_and(|rest| !rest.is_empty())
            }
            other => panic!("pattern {other}"),
        }),
        other => panic!("keyword {other}"),
    };
    schema.as_object().unwrap().keys().all(|word| holds(word))
}

/// The schema's two patterns.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const THRESHOLD: &str = "^(none|clip|dynamic(-.+)?)$";

#[test]
fn every_plan_that_is_written_is_valid() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let (grid, mut seen) = (Grid::quadratic(), 0);
    for name in Schedule::NAMES {
        let schedule = Schedule::named(name, 32).unwrap();
        for method in Method::all().into_iter().filter(|method| !method.normalise) {
            for afs in [false, true].into_iter().filter(|afs| !afs || !method.is_stochastic()) {
                let plan = method.plan(&Request { afs, ..Request::new(&schedule, &grid, 5) }).unwrap();
                let file = PlanFile { provenance: Some("{\"by\": 1}".into()), ..PlanFile::of(&plan, name) };
                let x = Some(file.clone()).filter(|_| name != "simple-diffusion");
                for file in [file.in_y(&schedule)].into_iter().chain(x) {
                    assert!(valid(&serde_json::from_str(&file.to_string()).unwrap(), &schema), "{file}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_for_its_shape() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let good = r#"{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "y", "sigma": [1, 0], "steps": [{"a": 1, "c": [1]}]}"#;
    let judged = |text: &str| (valid(&serde_json::from_str(text).unwrap(), &schema), PlanFile::parse(text).is_ok());
    assert_eq!(judged(good), (true, true));
    // In x a level of evaluation is a time.
    let in_x = good.replace("\"y\", \"sigma\"", "\"x\", \"schedule\": \"linear\", \"tau\"");
    let with = |more: &str| in_x.replace("\"c\": [1]", &format!("\"c\": [1], {more}"));
    assert_eq!((judged(&with("\"at\": 0.5")), judged(&with("\"at\": 1.5"))), ((true, true), (false, false)));
    for (from, to) in [
        ("\"version\": 1", "\"version\": 2"),
        ("fewstep-plan", "other"),
        ("\"m\"", "\"\""),
        ("\"y\"", "\"x\""),
        ("\"y\"", "\"z\""),
        ("\"sigma\": [1, 0], ", ""),
        ("\"sigma\": [1, 0]", "\"sigma\": [1, 0], \"tau\": [1, 0]"),
        ("\"sigma\": [1, 0]", "\"sigma\": [-1, 0]"),
        ("\"sigma\": [1, 0]", "\"sigma\": [1]"),
        ("[{\"a\": 1, \"c\": [1]}]", "[]"),
        ("\"a\": 1, ", ""),
        ("\"c\": [1]", "\"c\": [1], \"d\": 2"),
        ("\"c\": [1]", "\"c\": [1], \"noise\": -2"),
        ("\"c\": [1]", "\"c\": [1], \"at\": 0"),
        ("\"c\": [1]", "\"c\": [1], \"input\": 0"),
        ("\"c\": [1]", "\"c\": [1], \"afs\": 1"),
        (
            "\"y\", \"sigma\": [1, 0]",
            "\"x\", \"schedule\": \"linear\", \"tau\": [1, 0], \"start\": 1.5, \"threshold\": \"cut\"",
        ),
        ("\"sigma\": [1, 0]", "\"sigma\": [1e200, 0]"),
        ("\"m\"", "\"m\\u0007\""),
        ("\"sigma\": [1, 0]", "\"sigma\": [1, 0], \"grid\": \"a\\nb\""),
        ("\"variable\"", "\"nfe\": 0, \"variable\""),
        ("\"variable\"", "\"provenance\": [], \"variable\""),
        ("\"variable\"", "\"stages\": 2, \"variable\""),
    ] {
        let text = good.replacen(from, to, 1);
        assert_eq!(judged(&text), (false, false), "{text}");
    }
}

/// The reader says which fields it knows.
#[test]
fn the_schema_and_the_reader_know_the_same_fields() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let names = |schema: &Value| -> Vec<String> {
        let mut names: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let known = |text: &str| -> Vec<String> {
        let error = PlanFile::parse(text).unwrap_err().to_string();
        let list = error.split("no such field; expected ").nth(1).unwrap();
        let mut names: Vec<String> = list.split(", ").map(str::to_owned).collect();
        names.sort();
        names
    };
    let file = r#"{"format": "fewstep-plan", "version": 1, "x": 1}"#;
    assert_eq!(names(&schema), known(file));
    let step = r#"{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "y", "sigma": [1, 0], "steps": [{"x": 1}]}"#;
    assert_eq!(names(&schema["properties"]["steps"]["items"]), known(step));
    let schedules: Vec<&str> = schema["properties"]["schedule"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    // All but the one whose levels in x depend on the size of images.
    let known: Vec<&str> = Schedule::NAMES.into_iter().filter(|name| *name != "simple-diffusion").collect();
    assert_eq!(schedules, known);
}
