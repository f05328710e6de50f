//! Configurations, good and bad, and what is said of them.

use super::*;
use crate::action::ActionKind;
use crate::ids::Id;
use crate::settings::Goal;
use crate::units::{Micros, Span};

/// Four lines that each case goes on from: what it adds to the goal begins in line 5.
const START: &str = "[[advertiser]]\nid = \"acme\"\n[[advertiser.goal]]\nname = \"purchase\"\n";

fn errors(text: &str) -> String {
    Config::parse("f.toml", text).map_or_else(|error| error.to_string(), |config| format!("accepted: {config:?}"))
}

/// What follows [`START`], and all lines of the error without the file's name.
type Case = (&'static str, &'static [&'static str]);

fn check(cases: &[Case]) {
    for (addition, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|line| format!("f.toml:{line}")).collect();
        assert_eq!(errors(&format!("{START}{addition}")), expected.join("\n"), "\n{addition}");
    }
}

const WRONG_GOALS: &[Case] = &[
    ("view_window = \"0s\"", &["5:15: goal 'purchase': view_window = \"0s\": must be between 1m and 90d"]),
    ("  click_window=\"91d\"", &["5:16: goal 'purchase': click_window = \"91d\": must be between 1m and 90d"]),
    (
        "view_window = \"-1h\"",
        &["5:15: goal 'purchase': view_window = \"-1h\": must be a whole number with a unit, in quotes, such as \
               \"30d\", \"12h\", \"15m\", \"90s\" or \"250ms\""],
    ),
    (
        "half_life = 7",
        &["5:13: goal 'purchase': half_life = 7: must be a whole number with a unit, in quotes, such as \"30d\", \
               \"12h\", \"15m\", \"90s\" or \"250ms\""],
    ),
    (
        "converting_action = \"purchased\"",
        &["5:21: goal 'purchase': converting_action = \"purchased\": unknown action: did you mean 'purchase'?"],
    ),
    (
        "converting_action = \"zzzzzzzz\"",
        &["5:21: goal 'purchase': converting_action = \"zzzzzzzz\": unknown action: known are session_start, \
               page_view, view_item_list, select_item, view_item, add_to_wishlist, add_to_cart, view_cart, \
               begin_checkout, add_shipping_info, add_payment_info, purchase, remove_from_cart, ad_click, sign_up, \
               login, generate_lead, newsletter_signup, sms_signup, video_start, video_25, video_50, video_75, \
               video_complete and 26 more"],
    ),
    (
        "milestones = [\"view_item\", \"add-to-kart\", \"share\", \"view_item\"]",
        &[
            "5:28: goal 'purchase': milestones = \"add-to-kart\": unknown action: did you mean 'add_to_cart'?",
            "5:43: goal 'purchase': milestones = \"share\": is a secondary action: give it kind = \"milestone\" \
                 and a position in an [[advertiser.action]] first",
            "5:52: goal 'purchase': milestones = \"view_item\": is already in line 5: each name once",
        ],
    ),
    (
        "converting_action = \"add_to_cart\"\nmilestones = [\"add_to_cart\", \"view_cart\"]",
        &[
            "6:15: goal 'purchase': milestones = \"add_to_cart\": is the converting action: a milestone is a step \
                 before it",
            "6:30: goal 'purchase': milestones = \"view_cart\": stands at position 80, behind the converting \
                 action 'add_to_cart' at 70: a milestone is a step before it",
        ],
    ),
    (
        "milestones = \"view_item\"",
        &["5:14: goal 'purchase': milestones = \"view_item\": must be a list of names, such as [\"view_item\", \
               \"add_to_cart\"]"],
    ),
    ("value = -1", &["5:9: goal 'purchase': value = -1: must be between 0 and 10000000"]),
    ("value = nan", &["5:9: goal 'purchase': value = nan: must be between 0 and 10000000"]),
    ("value = inf", &["5:9: goal 'purchase': value = inf: must be between 0 and 10000000"]),
    ("value = 1e999", &["5:9: goal 'purchase': value = 1e999: must be between 0 and 10000000"]),
    ("value = \"40\"", &["5:9: goal 'purchase': value = \"40\": must be a number, such as 1.5, without quotes"]),
    (
        "currency = \"euro\"",
        &["5:12: goal 'purchase': currency = \"euro\": must be three capital letters of ISO 4217, such as \
               \"USD\" or \"EUR\""],
    ),
    ("prior_rate = 0", &["5:14: goal 'purchase': prior_rate = 0: must be between 0.000001 and 0.9"]),
    ("prior_rate = 1.0", &["5:14: goal 'purchase': prior_rate = 1.0: must be between 0.000001 and 0.9"]),
    (
        "suppress_after_conversion = \"0s\"",
        &["5:29: goal 'purchase': suppress_after_conversion = \"0s\": must be between 1s and 365d"],
    ),
    ("credit = \"first\"", &["5:10: goal 'purchase': credit = \"first\": must be \"last_touch\" or \"even\""]),
    (
        "multiplier = { baseline = \"flat\", min = 1.5, max = 12, miin = 1 }",
        &[
            "5:27: goal 'purchase': multiplier.baseline = \"flat\": must be \"context\" or \"goal\" or \"request\"",
            "5:41: goal 'purchase': multiplier.min = 1.5: must be between 0.01 and 1",
            "5:52: goal 'purchase': multiplier.max = 12: must be between 1 and 10",
            "5:56: goal 'purchase': multiplier.miin: unknown key: did you mean 'min'?",
        ],
    ),
    (
        "multiplier = { exploration = 0.021 }",
        &["5:30: goal 'purchase': multiplier.exploration = 0.021: must be between 0 and 0.02"],
    ),
    ("multiplier = 2", &["5:14: goal 'purchase': multiplier = 2: must be a table: [multiplier] or multiplier = { … }"]),
    ("veiw_window = \"1d\"", &["5:1: goal 'purchase': veiw_window: unknown key: did you mean 'view_window'?"]),
    (
        "colour = 1",
        &["5:1: goal 'purchase': colour: unknown key: known are name, converting_action, click_window, \
               view_window, conversion_delay_min, milestones, value, currency, prior_rate, half_life, credit, \
               multiplier"],
    ),
    (
        "[[advertiser.goal]]\nname = \"purchase\"\n[[advertiser.goal]]\nvalue = 1",
        &[
            "6:8: goal: name = \"purchase\": is already in line 4: each name once",
            "7:1: goal: name is missing: each goal needs one",
        ],
    ),
    ("[[advertiser.goal]]\nname = 7", &["6:8: goal: name = 7: must be a text in quotes"]),
    ("[[advertiser.goal]]\nname = \"\"", &["6:8: goal: name = \"\": an identifier must not be empty"]),
];

#[test]
fn wrong_goals_are_refused() {
    check(WRONG_GOALS);
}

const WRONG_PARTS: &[Case] = &[
    (
        "[[advertiser.action]]\nname = \"configure\"\nkind = \"milestone\"",
        &["5:1: action 'configure': a milestone needs a position: position = 75 would stand between add_to_cart, 70, \
               and view_cart, 80"],
    ),
    (
        "[[advertiser.action]]\nname = \"configure\"\nposition = 75",
        &["7:12: action 'configure': position = 75: only a milestone has a position: add kind = \"milestone\", or \
               leave the position out"],
    ),
    (
        "[[advertiser.action]]\nname = \"configure\"\nkind = \"milestone\"\nposition = 256",
        &["8:12: action 'configure': position = 256: must be between 1 and 255"],
    ),
    (
        "[[advertiser.action]]\nname = \"configure\"\nkind = \"milestone\"\nposition = 70",
        &["8:12: action 'configure': position = 70: this position is taken by 'add_to_cart': choose a free one"],
    ),
    (
        "[[advertiser.action]]\nname = \"configure\"\nkind = \"step\"\nhalf_life = \"1s\"",
        &[
            "7:8: action 'configure': kind = \"step\": must be \"milestone\" or \"secondary\"",
            "8:13: action 'configure': half_life = \"1s\": must be between 1m and 3650d",
        ],
    ),
    (
        "[[advertiser.campaign]]\nname = \"spring\"\ngoals = [\"purchases\", \"purchase\", \"purchase\"]",
        &[
            "7:10: campaign 'spring': goals = \"purchases\": unknown goal: did you mean 'purchase'?",
            "7:35: campaign 'spring': goals = \"purchase\": is already in line 7: each name once",
        ],
    ),
    (
        "[[advertiser.campaign]]\nname = \"spring\"\ngoals = []\nobjective = { purchase = 1.0 }",
        &[
            "7:9: campaign 'spring': goals = []: must name 1 to 32 goals",
            "8:26: campaign 'spring': objective.purchase = 1.0: unknown goal of this campaign: none is known",
        ],
    ),
    (
        "[[advertiser.campaign]]\nname = \"spring\"\ngoals = [\"purchase\"]\n\
         objective = { purchases = 1.0, purchase = 0 }",
        &[
            "8:27: campaign 'spring': objective.purchases = 1.0: unknown goal of this campaign: did you mean \
                 'purchase'?",
            "8:43: campaign 'spring': objective.purchase = 0: must be above 0 and at most 1000",
        ],
    ),
    (
        "[[advertiser.campaign]]\nname = \"spring\"\ngoals = [\"purchase\"]\nobjective = {}",
        &["8:13: campaign 'spring': objective is empty: weigh a goal, such as objective = { purchase = 1.0 }, or \
               leave it out"],
    ),
    (
        "[[advertiser.campaign]]\nname = \"spring\"",
        &["5:1: campaign 'spring': goals is missing: name the goals it bids for, such as goals = [\"purchase\"]"],
    ),
    (
        "[[advertiser.segment]]\nweight = 2",
        &["5:1: advertiser 'acme': segment: says not who is in it: add when = \
             \"did(view_item, 7d)\", or ready_made = \"cart_abandoners\" or \"repeat_viewers\" or \
             \"video_completers\" or \"recent_buyers\", or external = \"provider/id\""],
    ),
    (
        "[[advertiser.segment]]\nready_made = \"cart_abandonners\"\nweight = 0",
        &[
            "6:14: segment 'cart_abandonners': ready_made = \"cart_abandonners\": unknown ready-made segment: did \
                 you mean 'cart_abandoners'?",
            "7:10: segment 'cart_abandonners': weight = 0: must be above 0 and at most 10",
        ],
    ),
    (
        "[[advertiser.segment]]\nexternal = \"acxiom\"\nweight = nan",
        &[
            "6:12: segment 'acxiom': external = \"acxiom\": must be the provider and its segment, such as \
                 \"provider/id\"",
            "7:10: segment 'acxiom': weight = nan: must be above 0 and at most 10",
        ],
    ),
    (
        "[[advertiser.segment]]\nexternal = \"a/1\"\nname = \"x\"\n[[advertiser.segment]]\nexternal = \"a/1\"",
        &[
            "7:8: segment 'a/1': name = \"x\": an external segment goes by the name that requests give it: leave \
                 this out",
            "9:12: segment 'a/1': external = \"a/1\": is already in line 6: each name once",
        ],
    ),
    (
        "[[advertiser.segment]]\nexternal = \"a/1\"\nready_made = \"recent_buyers\"",
        &["5:1: segment 'recent_buyers': has ready_made and external: two segments need two entries"],
    ),
    (
        "[[advertiser.segment]]\nwhen = \"did(purchase, 7d)\"",
        &["5:1: advertiser 'acme': segment: name is missing: a segment with when needs one"],
    ),
    (
        "[[advertiser.segment]]\nname = \"x\"\nwhen = \"did(purchase, 7d)\"\nexternal = \"a/1\"",
        &["5:1: segment 'a/1': has external and when: two segments need two entries"],
    ),
    ("[[advertiser.segment]]\nname = \"x\"\nwhen = 7", &["7:8: segment 'x': when = 7: must be a text in quotes"]),
    (
        "[[advertiser.segment]]\nname = \"x\"\nwhen = \"\"",
        &["7:9: segment 'x': when: says not who is in it: write a condition, such as count(view_item, 7d) >= 3"],
    ),
    (
        "[[advertiser.segment]]\nname = \"a/1\"\nwhen = \"external(a/1)\"",
        &["7:8: segment 'a/1': when = \"external(a/1)\": is already in line 6: each name once"],
    ),
    (
        "[[advertiser]]\nid = \"acme\"\ngaol = []\n[[advertiser]]",
        &[
            "6:6: advertiser: id = \"acme\": is already in line 2: each name once",
            "7:1: advertiser 'acme': gaol: unknown key: did you mean 'goal'?",
            "8:1: advertiser: id is missing: each advertiser needs one",
        ],
    ),
    (
        "[[advertiser]]\nid = \"b\"\n[advertiser.goal]\nname = \"x\"",
        &["7:1: advertiser 'b': goal = [advertiser.goal]: must be a list of tables: write [[advertiser.goal]], with \
               two brackets"],
    ),
];

#[test]
fn wrong_actions_campaigns_and_segments_are_refused() {
    check(WRONG_PARTS);
}

const WRONG_SECTIONS: &[Case] = &[
    ("[learner]\ntable_bits = 23", &["6:14: learner: table_bits = 23: must be between 10 and 22"]),
    ("[learner]\ntable_bits = 18.0", &["6:14: learner: table_bits = 18.0: must be a whole number, without quotes"]),
    (
        "[learner]\nalpha = 0\nl1 = -inf",
        &[
            "6:9: learner: alpha = 0: must be between 0.0001 and 10",
            "7:6: learner: l1 = -inf: must be between 0 and 1000",
        ],
    ),
    (
        "[arms]\ncontrol_share = 0.75\nholdout_share = 0.5\nsalt = -1",
        &[
            "5:1: arms: control_share and holdout_share sum to 1.25: at most 1",
            "8:8: arms: salt = -1: must be between 0 and 9223372036854775807",
        ],
    ),
    (
        "[arms]\ncontrol_share = 0.75\n[[advertiser]]\nid = \"other\"\nholdout_share = 0.5",
        &["9:17: advertiser 'other': holdout_share = 0.5: control_share in [arms] is 0.75, which leaves 0.25"],
    ),
    ("[arms]\ncontrol_share = 1.01", &["6:17: arms: control_share = 1.01: must be between 0 and 1"]),
    ("[limits]\nprofiles_max = 0", &["6:16: limits: profiles_max = 0: must be between 1 and 1000000000"]),
    (
        "[limits]\nlive_per_user_max = 99999999999999999999",
        &["6:21: limits: live_per_user_max = 99999999999999999999: must be a whole number, without quotes"],
    ),
    ("[retention]\nprofile = \"1h\"", &["6:11: retention: profile = \"1h\": must be between 1d and 3650d"]),
    (
        "[multiplier]\nbaseline = \"site\"\nmin = 0\nsupport = 0",
        &[
            "6:12: multiplier: baseline = \"site\": must be \"context\" or \"goal\" or \"request\"",
            "7:7: multiplier: min = 0: must be between 0.01 and 1",
            "8:11: multiplier: support = 0: must be between 1 and 1000",
        ],
    ),
    (
        "[server]\ngrpc = \"localhost\"\nclock = \"sun\"\nworkers = 0\nmessage_bytes_max = \"4MB\"",
        &[
            "6:8: server: grpc = \"localhost\": must be an IP address and a port, such as \"127.0.0.1:7610\" or \
                 \"[::1]:7610\"",
            "7:9: server: clock = \"sun\": must be \"wall\" or \"events\"",
            "8:11: server: workers = 0: must be \"per_core\" or a number between 1 and 256",
            "9:21: server: message_bytes_max = \"4MB\": must be a whole number with a unit, in quotes, such as \
                 \"4MiB\", \"512KiB\" or \"100B\"",
        ],
    ),
    (
        "[server]\ngrpc = \"127.0.0.1:7611\"\ndeadline = \"1ms\"\nstream_window = \"1B\"",
        &[
            "5:1: server: grpc and http are both 127.0.0.1:7611: they need two ports",
            "5:1: server: deadline_overhead 1ms leaves nothing of deadline 1ms",
            "8:17: server: stream_window = \"1B\": must be between 64KiB and 64MiB",
        ],
    ),
    ("[[learner]]", &["5:1: learner = [[learner]]: must be a table: [learner] or learner = { … }"]),
    ("[lerner]\nalpha = 1", &["5:2: lerner: unknown key: did you mean 'learner'?"]),
];

#[test]
fn wrong_sections_are_refused() {
    check(WRONG_SECTIONS);
}

#[test]
fn what_is_no_configuration_at_all_is_refused() {
    let cases = [
        ("", "1:1: there is no advertiser: add an [[advertiser]] with an id, and an [[advertiser.goal]] with a name"),
        ("[[advertiser]]\nid = \"a\"", "1:1: no advertiser has a goal: add an [[advertiser.goal]] with a name"),
        ("[[advertizer]]\nid = \"a\"", "1:3: advertizer: unknown key: did you mean 'advertiser'?"),
        ("a = 7d", "1:5: not TOML at '7d': string values must be quoted, expected literal string"),
        ("a = 40,5", "1:7: not TOML at ',5': unexpected key or value, expected newline, `#`"),
        ("a = 1\nb = 2\na = 3", "3:1: not TOML at 'a = 3': duplicate key"),
        ("[server\n", "1:8: not TOML: unclosed table, expected `]`"),
        (
            "\0\u{1b}[2J",
            "1:1: not TOML at '\\u{0}\\u{1b}[2J': invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(errors(text), format!("f.toml:{expected}"), "{text:?}");
    }
    let huge = format!("{START}#{}", "x".repeat(CONFIG_BYTES_MAX));
    assert_eq!(errors(&huge), "f.toml: is too large: a configuration has at most 1048576 bytes");
}

#[test]
fn tables_have_bounds() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let cases = [
        (
            many(206, &|i| format!("[[advertiser.action]]\nname=\"a{i}\"\n")),
            "415:1: action 'a205': an advertiser has at most 255 actions, the standard ones included",
        ),
        (
            many(65, &|i| format!("[[advertiser.segment]]\nready_made=\"recent_buyers\"\nname=\"s{i}\"\n")),
            "197:1: segment 'recent_buyers': an advertiser has at most 64 segments by rule",
        ),
        (
            many(1_001, &|i| format!("[[advertiser.segment]]\nexternal=\"p/{i}\"\n")),
            "2005:1: segment 'p/1000': an advertiser has at most 1000 external segments",
        ),
        (
            many(4_097, &|i| format!("[[advertiser.campaign]]\nname=\"c{i}\"\ngoals=[\"purchase\"]\n")),
            "12293:1: campaign 'c4096': an advertiser has at most 4096 campaigns",
        ),
        (
            many(1_024, &|i| format!("[[advertiser.goal]]\nname=\"g{i}\"\n")),
            "1:1: there are 1025 goals over all advertisers: at most 1024",
        ),
        (many(4_096, &|i| format!("[[advertiser]]\nid=\"a{i}\"\n")), "1:1: there are 4097 advertisers: at most 4096"),
        (
            many(30, &|i| {
                let position = i + 11 + i / 9;
                format!("[[advertiser.action]]\nname=\"a{i}\"\nkind=\"milestone\"\nposition={position}\n")
            }),
            "3:1: goal 'purchase': there are 33 milestones before it: list at most 32 of them as milestones = [ … ]",
        ),
    ];
    for (addition, expected) in cases {
        assert_eq!(errors(&format!("{START}{addition}")), format!("f.toml:{expected}"));
    }
}

#[test]
fn a_hostile_file_costs_little() {
    let keys: String = (0..60_000).map(|i| format!("purchas_{i}=1\n")).collect();
    let error = errors(&format!("{START}{keys}"));
    assert_eq!(error.lines().count(), PROBLEMS_MAX + 1);
    assert!(error.ends_with("f.toml: 59980 more problems, shown once these are solved"), "{error}");
    let nested = format!("{START}value = {}", "[".repeat(500_000));
    assert!(errors(&nested).starts_with("f.toml:5:"), "{}", errors(&nested));
}

#[test]
fn what_is_not_stated_is_default() {
    let config = Config::parse("f.toml", START).unwrap();
    let mut expected = Advertiser::new(Id::literal("acme"));
    let milestones = ["view_item", "add_to_cart", "begin_checkout"].map(Id::literal).to_vec();
    expected.goals.push(Goal { milestones, ..Goal::new(Id::literal("purchase")) });
    let settings = Settings { advertisers: vec![expected], ..Settings::default() };
    assert_eq!(config, Config::from_settings(settings));
}

#[test]
fn what_is_stated_holds() {
    let text = "\u{feff}[[advertiser]]
id = 'acme'
action = [
    { name = 'configure', kind = 'milestone', position = 75, half_life = '36h' },
    { name = 'sign_up', kind = 'milestone', position = 65 },
    { name = 'add_to_cart', half_life = '1d' },
    { name = 'view_item', kind = 'secondary' },
]
goal = [
    { name = 'buy', converting_action = 'purchase', value = 19.9, currency = 'EUR', multiplier.max = 4 },
    { name = 'try', converting_action = 'configure', milestones = ['add_to_cart', 'session_start'] },
    { name = 'join', converting_action = 'newsletter_signup' },
    { name = 'call', converting_action = 'click_to_call', milestones = [] },
]
[multiplier]
min = 0.5
[server]
grpc = '0.0.0.0:0'
http = '0.0.0.0:0'
workers = 3
message_bytes_max = '8MiB'
";
    let Config { server, settings, .. } = Config::parse("f.toml", text).unwrap();
    assert_eq!((server.workers, server.message_bytes_max, server.grpc.port()), (Workers::Fixed(3), 8 << 20, 0));
    let acme = &settings.advertisers[0];
    let action = |name: &str| acme.action(name).map(|action| (action.kind, action.half_life)).unwrap();
    assert_eq!(action("configure"), (ActionKind::Milestone { position: 75 }, Span::hours(36)));
    assert_eq!(action("add_to_cart"), (ActionKind::Milestone { position: 70 }, Span::days(1)));
    assert_eq!(action("view_item").0, ActionKind::Secondary);
    let milestones = |goal: usize| acme.goals[goal].milestones.iter().map(Id::as_str).collect::<Vec<_>>();
    assert_eq!(milestones(0), ["sign_up", "add_to_cart", "configure", "begin_checkout"]);
    assert_eq!(milestones(1), ["session_start", "add_to_cart"], "sorted by position");
    assert_eq!(milestones(2), milestones(0), "a goal without a place on the ladder has all");
    assert_eq!(milestones(3), [""; 0]);
    let multiplier = |goal: usize| (acme.goals[goal].multiplier.min, acme.goals[goal].multiplier.max);
    assert_eq!((multiplier(0), multiplier(1)), ((0.5, 4.0), (0.5, 3.0)));
    assert_eq!((acme.goals[0].value, acme.goals[0].currency.as_str()), (Micros(19_900_000), "EUR"));
}

#[test]
fn wrong_expressions_are_refused_at_their_column_of_the_file() {
    let segment = |when: &str| format!("{START}[[advertiser.segment]]\nname = \"x\"\nwhen = {when}");
    let unknown = "unknown action 'veiw_item': did you mean 'view_item'?\n  | did(veiw_item, 7d)\n  |     ^^^^^^^^^";
    let not_closed = "expected 'and', 'or' or ')', found the end";
    let cases = [
        ("\"did(veiw_item, 7d)\"", format!("7:13: segment 'x': when: {unknown}")),
        ("  'did(veiw_item, 7d)'", format!("7:15: segment 'x': when: {unknown}")),
        ("\"\"\"did(veiw_item, 7d)\"\"\"", format!("7:15: segment 'x': when: {unknown}")),
        ("'''\ndid(veiw_item, 7d)'''", format!("8:5: segment 'x': when: {unknown}")),
        ("\"\"\"\r\ndid(veiw_item, 7d)\"\"\"", format!("8:5: segment 'x': when: {unknown}")),
        ("\"did(\\u0076eiw_item, 7d)\"", format!("7:8: segment 'x': when: column 5 of the expression: {unknown}")),
        (
            "\"did(\\\"share\\\", 7d\"",
            "7:8: segment 'x': when: column 16 of the expression: expected ')', found the end\n  \
             | did(\"share\", 7d\n  |                ^"
                .to_owned(),
        ),
        ("\"(did(größe, 7d)\"", "7:14: segment 'x': when: unknown action 'größe': known are ".to_owned()),
        (
            "\"\"\"\n\n (sessions > 1\n \"\"\"",
            format!("9:15: segment 'x': when: {not_closed}\n  |  (sessions > 1\n  |               ^"),
        ),
    ];
    for (when, expected) in cases {
        let error = errors(&segment(when));
        assert!(error.starts_with(&format!("f.toml:{expected}")), "{when}:\n{error}\ninstead of\n{expected}");
    }
    let both = format!("{}\nweight = 0", segment("\"sessions\""));
    assert_eq!(
        errors(&both),
        "f.toml:7:17: segment 'x': when: expected a comparison, such as >= 3, found the end\n  | sessions\n  \
         |         ^\nf.toml:8:10: segment 'x': weight = 0: must be above 0 and at most 10"
    );
}

#[test]
fn external_segments_of_expressions_are_known() {
    let text = format!(
        "{START}[[advertiser.segment]]\nname = \"x\"\nwhen = \"external(a/1) or external(a/2) or external(a/1)\"\n\
         [[advertiser.segment]]\nexternal = \"a/2\"\nweight = 2"
    );
    let acme = Config::parse("f.toml", &text).unwrap().settings.advertisers.remove(0);
    let known: Vec<(&str, f64)> = acme.externals.iter().map(|known| (known.id.as_str(), known.weight)).collect();
    assert_eq!(known, [("a/2", 2.0), ("a/1", 1.0)], "an entry's weight wins, wherever it stands");

    let full = (0..1_000).map(|i| format!("[[advertiser.segment]]\nexternal=\"p/{i}\"\n")).collect::<String>();
    let more = format!("{START}{full}[[advertiser.segment]]\nname = \"x\"\nwhen = \"external(p/0) or external(q/0)\"");
    assert_eq!(
        errors(&more),
        "f.toml:2007:8: segment 'x': when = \"external(p/0) or external(q/0)\": an advertiser has at most 1000 \
         external segments"
    );
}
