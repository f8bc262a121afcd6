use super::*;

fn request(subnet: &str, ip_range: &str, gateway: &str) -> NetworkRequest {
    let subnet = SubnetRequest {
        subnet: subnet.into(),
        ip_range: ip_range.into(),
        gateway: gateway.into(),
        auxiliary: BTreeMap::new(),
    };
    NetworkRequest { name: "net".into(), subnets: vec![subnet], ..NetworkRequest::default() }
}

#[test]
fn a_subnet_that_is_no_subnet_is_refused_in_dockers_words() {
    let cases = [
        (["nonsense", "", ""], "invalid subnet nonsense: invalid CIDR block notation"),
        (["10.0.0.1/24", "", ""], "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
        (["10.0.0.0/24", "", "10.1.0.1"], "doesn't contain this address"),
        (["10.0.0.0/24", "", "10.0.0.0"], "doesn't contain this address"),
        (["10.0.0.0/24", "", "x"], "invalid gateway x: invalid address"),
        (["10.0.0.0/24", "10.0.0.0/16", ""], "bigger than its parent subnet 10.0.0.0/24"),
        (["10.0.0.0/24", "10.1.0.0/24", ""], "doesn't contain ip-range"),
        (["127.0.0.0/24", "", ""], "no container can have its addresses"),
        (["224.1.0.0/16", "", ""], "no container can have its addresses"),
        (["10.0.0.0/31", "", ""], "no container can have its addresses"),
        (["0.0.0.0/0", "", ""], "no container can have its addresses"),
        (["", "10.0.0.0/24", ""], "need a subnet"),
    ];
    for ([subnet, range, gateway], expected) in cases {
        let error = request(subnet, range, gateway).chosen_subnet().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn a_subnet_is_taken_as_it_was_asked_for() {
    let asked = request("10.0.0.0/24", "10.0.0.128/25", "10.0.0.254");
    let chosen = asked.chosen_subnet().unwrap().unwrap();
    assert_eq!(chosen.gateway, Some([10, 0, 0, 254].into()));
    assert_eq!(chosen.ip_range.unwrap().to_string(), "10.0.0.128/25");
    assert_eq!(request("", "", "").chosen_subnet().unwrap(), None);
    assert_eq!(request("2001:db8::/64", "", "").chosen_subnet().unwrap(), None);
    let mut twice = request("10.0.0.0/24", "", "");
    twice.subnets.extend(request("10.0.1.0/24", "", "").subnets);
    assert!(twice.chosen_subnet().is_err());
}

#[test]
fn names_and_drivers_are_checked() {
    let check = |name: &str, driver: &str| {
        let request = NetworkRequest {
            name: name.into(),
            driver: driver.into(),
            ..NetworkRequest::default()
        };
        request.check().map_err(|error| error.status())
    };
    assert_eq!(check("net", ""), Ok(()));
    assert_eq!(check("a network", "bridge"), Ok(()));
    for name in ["bridge", "host", "none", "default"] {
        assert_eq!(check(name, ""), Err(403));
    }
    for name in ["", "  ", "a\nb", &"x".repeat(256)] {
        assert_eq!(check(name, ""), Err(400), "{name:?}");
    }
    assert_eq!(check("net", "host"), Err(403));
    assert_eq!(check("net", "overlay"), Err(404));
}

#[test]
fn options_that_have_no_effect_are_reported() {
    let options = |all: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        let options = all.iter().map(owned).collect();
        NetworkRequest { options, ..NetworkRequest::default() }.bridge_options()
    };
    let found = options(&[
        ("com.docker.network.driver.mtu", "1400"),
        ("com.docker.network.bridge.enable_ip_masquerade", "false"),
        ("com.docker.network.bridge.name", "br0"),
    ])
    .unwrap();
    assert_eq!((found.mtu, found.masquerade), (1400, false));
    let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
    assert!(warning.contains("bridge.name"), "{warning}");
    assert!(options(&[("com.docker.network.driver.mtu", "1")]).is_err());
    assert!(options(&[("com.docker.network.bridge.enable_ip_masquerade", "x")]).is_err());
}
