"""Dataclasses and enums as inputs and outputs: given as instances or as dicts, read as records or as your classes."""

import enum
from dataclasses import dataclass, field
from datetime import timedelta

import flyte_lite as flyte
from flyte_lite.devbox import Devbox


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Layer:
    units: int
    dropout: float = 0.1


@dataclass
class Config:
    size: Size
    pause: timedelta
    layers: list[Layer] = field(default_factory=list)


with Devbox() as box:

    @box.task(name="models.grow", version="v1")
    def grow(config: Config, by: float) -> Config:
        config.layers.append(Layer(units=int(config.layers[-1].units * by)))
        return config

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        task = client.tasks.get("models.grow", version="v1")
        run = client.run(task, config=Config(Size.LARGE, timedelta(seconds=90), [Layer(8)]), by=2)
        run.wait(timeout=60)
        print("as a record:", run.outputs()[0].layers[1].units, run.outputs()[0]["pause"])
        print("as a class:", run.typed_outputs({"o0": Config})["o0"])
        try:
            client.run(task, config={"size": "large", "pause": timedelta(0), "layers": [{"units": "many"}]}, by=2)
        except flyte.errors.InputsError as error:
            print(error.problems)
