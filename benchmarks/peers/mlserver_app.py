"""A runtime of MLServer: named in ``model-settings.json``, speaks V2."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.onnx import Model


class Runtime(MLModel):
    async def load(self) -> bool:
        self.model = Model(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("predictions", self.model(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])
