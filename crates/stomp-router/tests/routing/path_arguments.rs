//! Parameters of the pattern as `Path` arguments.

use super::{messages, mistake, rejection, send, subscribe};
use serde::Deserialize;
use std::{collections::HashMap, net::IpAddr};
use stomp_router::{Path, Router};
use stomp_session::Response;
use tower::ServiceExt;

#[tokio::test]
async fn parameters_are_converted_to_the_types_that_the_handler_takes() {
    #[derive(Deserialize)]
    struct Place {
        id: u64,
        room: String,
    }
    #[derive(Deserialize)]
    struct Id(i8);
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    async fn number(Path(id): Path<u64>) -> String {
        format!("{}", id + 1)
    }
    async fn tuple(Path((room, id)): Path<(String, i32)>) -> String {
        format!("{room} {id}")
    }
    async fn by_name(Path(Place { id, room }): Path<Place>) -> String {
        format!("{room} {id}")
    }
    async fn map(Path(all): Path<HashMap<String, String>>) -> String {
        format!("{} {} of {}", all["room"], all["id"], all.len())
    }
    async fn other(Path((Id(id), flag, letter, colour)): Path<(Id, bool, char, Colour)>) -> String {
        format!("{id} {flag} {letter} {colour:?}")
    }

    let routes = Router::new()
        .subscribe("/number/{id}", number)
        .subscribe("/tuple/{room}/{id}", tuple)
        .subscribe("/struct/{room}/{id}", by_name)
        .subscribe("/map/{room}/{id}", map)
        .subscribe("/other/{id}/{flag}/{letter}/{colour}", other)
        .build()
        .unwrap();
    for (destination, expected) in [
        ("/number/41", "42"),
        ("/tuple/blue/-3", "blue -3"),
        ("/struct/blue/3", "blue 3"),
        ("/map/blue/3", "blue 3 of 2"),
        ("/other/-1/true/\u{e9}/red", "-1 true \u{e9} Red"),
    ] {
        assert_eq!(
            messages(&routes, destination).await,
            Ok(vec![expected.to_owned()])
        );
    }
}

#[tokio::test]
async fn an_invalid_number_is_a_bad_request_that_names_the_parameter() {
    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "id")]
        _id: u8,
    }
    async fn one(Path(_): Path<u8>) {}
    async fn tuple(Path(_): Path<(String, u8)>) {}
    async fn by_name(Path(_): Path<Place>) {}

    let routes = Router::new()
        .send("/one/{id}", one)
        .send("/tuple/{room}/{id}", tuple)
        .send("/struct/{room}/{id}", by_name)
        .build()
        .unwrap();
    for (destination, value) in [
        ("/one/x", "\"x\""),
        ("/one/256", "\"256\""),
        ("/one/-1", "\"-1\""),
        ("/tuple/blue/x", "\"x\""),
        ("/struct/blue/x", "\"x\""),
    ] {
        let error = rejection(&routes, send(destination, b"")).await;
        assert_eq!(error.code(), "bad-request", "{destination}");
        let expected = format!("\"id\" must be an integer from 0 to 255, but is {value}.");
        assert!(error.text().ends_with(&expected), "{error}");
    }
    assert!(matches!(
        routes.oneshot(send("/one/255", b"")).await,
        Ok(Response::Done)
    ));
}

#[tokio::test]
async fn a_path_that_does_not_fit_its_pattern_is_a_mistake_of_the_application() {
    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "street")]
        _street: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nowhere {}

    async fn two(Path(_): Path<(String, String)>) {}
    async fn one(Path(_): Path<String>) {}
    async fn missing(Path(_): Path<Place>) {}
    async fn unknown(Path(_): Path<Nowhere>) {}
    async fn nested(Path(_): Path<Vec<Vec<u8>>>) {}
    async fn unit(Path(()): Path<()>) {}
    let routes = Router::new()
        .send("/one/{a}", two)
        .send("/two/{a}/{b}", one)
        .send("/none", one)
        .send("/missing/{a}", missing)
        .send("/unknown/{a}", unknown)
        .send("/nested/{a}", nested)
        .send("/unit/{a}", unit)
        .build()
        .unwrap();
    for (destination, reason) in [
        (
            "/one/x",
            "::two` is not available: the number of parameters in the pattern is 1, and not 2",
        ),
        (
            "/two/x/y",
            "the number of parameters in the pattern is 2, and not 1",
        ),
        (
            "/none",
            "the number of parameters in the pattern is 0, and not 1",
        ),
        ("/missing/x", "the pattern has no parameter \"street\""),
        ("/unknown/x", "there is no field for the parameter \"a\""),
        ("/nested/x", "a parameter is text, and cannot be a sequence"),
        ("/unit/x", "a parameter is text, and cannot be unit"),
    ] {
        let text = mistake(&routes, send(destination, b"")).await;
        assert!(text.ends_with(reason), "{destination}: {text}");
    }
}

#[tokio::test]
async fn an_unknown_enum_variant_is_a_bad_request_that_names_the_parameter() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }
    #[derive(Debug, Deserialize)]
    enum Shade {
        #[allow(dead_code, reason = "never read")]
        Grey(u8),
    }
    async fn shade(Path(_): Path<Shade>) {}
    async fn one(Path(colour): Path<Colour>) -> String {
        format!("{colour:?}")
    }
    async fn both(Path((_, colour)): Path<(IpAddr, Colour)>) -> String {
        format!("{colour:?}")
    }
    let routes = Router::new()
        .subscribe("/one/{colour}", one)
        .subscribe("/both/{address}/{colour}", both)
        .subscribe("/shade/{shade}", shade)
        .build()
        .unwrap();
    assert_eq!(
        messages(&routes, "/one/red").await,
        Ok(vec!["Red".to_owned()])
    );
    assert_eq!(
        messages(&routes, "/both/::1/blue").await,
        Ok(vec!["Blue".to_owned()])
    );
    for (destination, parts) in [
        (
            "/one/green",
            ["\"colour\" cannot be \"green\"", "`red` or `blue`"],
        ),
        (
            "/both/::1/green",
            ["\"colour\" cannot be \"green\"", "`red` or `blue`"],
        ),
        (
            "/both/a/red",
            ["\"address\" cannot be \"a\"", "invalid IP address"],
        ),
        (
            "/shade/Grey",
            ["\"shade\" cannot be \"Grey\"", "it needs more values"],
        ),
    ] {
        let error = rejection(&routes, subscribe(destination)).await;
        assert_eq!(error.code(), "bad-request");
        assert!(
            parts.iter().all(|part| error.text().contains(part)),
            "{error}"
        );
    }
}
