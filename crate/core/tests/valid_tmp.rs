mod support;
#[test]
fn t() { for (n, net) in support::models::valid() { eprintln!("{n} {} {:?}", net.bytes().len(), support::chain::chain(&net.bytes())); } }
