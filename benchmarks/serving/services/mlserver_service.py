"""The model as an MLServer runtime; `mlserver start` finds it by the name in `model-settings.json`."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class Scorer(MLModel):
    """Columns in, probabilities out."""

    async def load(self) -> bool:
        """Load the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # of one core
        self._session = onnxruntime.InferenceSession(await get_model_uri(self._settings), options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities, [N, P]."""
        inputs = {}
        for own in payload.inputs:
            if own.datatype == "BYTES":
                labels = StringCodec.decode_input(own)
                inputs[own.name] = np.array(labels, dtype=object).reshape(-1, 1)
            else:
                inputs[own.name] = NumpyCodec.decode_input(own)
        (predictions,) = self._session.run(None, inputs)
        output = NumpyCodec.encode_output("prediction", predictions)
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])
