"""MLflow warns while its parts are imported, about itself; our filters would turn that into errors."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  imported for what importing it does
