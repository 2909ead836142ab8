"""Analyses over HTTP: start, list, look, stop, replay."""

CART = {"namespace": "shop", "name": "new-errors"}


def test_an_object_of_the_cluster_is_judged(client, services):
    started = client.post("/v1/analyses", json={"kind": "deployment", **CART, "config": {"mode": "rules"}})
    assert started.status_code == 201
    found = client.get(f"/v1/analyses/{started.json()['id']}").json()
    assert found["phase"] == "done"
    assert found["verdict"]["decision"] == "rollback"
    assert (found["askedBy"], found["origin"]) == ("argo", "api")
    assert services.analyses.kept[found["id"]].request.target.kind.value == "deployment"
