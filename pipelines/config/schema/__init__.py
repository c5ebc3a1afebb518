"""Everything that can be configured: names, types, ranges, and what may differ inside a stack.

Values live in `conf/`, so that each stands in one place; these classes have no defaults, save for what a user's own
table alone needs. `pipelines.config.validate` turns a composed configuration into a `TrialConfig`; nothing below the
entry points ever sees Hydra's objects.
"""

from pipelines.config.schema.data import BuiltinName as BuiltinName, DataConfig as DataConfig
from pipelines.config.schema.engine import (
    EngineConfig as EngineConfig,
    LocalEngineConfig as LocalEngineConfig,
    RayEngineConfig as RayEngineConfig,
)
from pipelines.config.schema.model import (
    Activation as Activation,
    CNNConfig as CNNConfig,
    CustomConfig as CustomConfig,
    GRUConfig as GRUConfig,
    LinearConfig as LinearConfig,
    MLPConfig as MLPConfig,
    ModelConfig as ModelConfig,
    ResNetConfig as ResNetConfig,
    TabularConfig as TabularConfig,
)
from pipelines.config.schema.optimizer import (
    AdadeltaConfig as AdadeltaConfig,
    AdagradConfig as AdagradConfig,
    AdamConfig as AdamConfig,
    AdamWConfig as AdamWConfig,
    MomentumConfig as MomentumConfig,
    NesterovConfig as NesterovConfig,
    OptimizerBase as OptimizerBase,
    OptimizerConfig as OptimizerConfig,
    RMSpropConfig as RMSpropConfig,
    SGDConfig as SGDConfig,
)
from pipelines.config.schema.ranges import (
    ClosedFraction as ClosedFraction,
    Count as Count,
    Divisor as Divisor,
    Factor as Factor,
    Fraction as Fraction,
    Group as Group,
    NotNegative as NotNegative,
    Number as Number,
    Positive as Positive,
    Rate as Rate,
    Seed as Seed,
    Times as Times,
    WholeNumber as WholeNumber,
    per_member as per_member,
    per_sweep as per_sweep,
)
from pipelines.config.schema.running import (
    EnsembleConfig as EnsembleConfig,
    TrackingConfig as TrackingConfig,
    TrainerConfig as TrainerConfig,
)
from pipelines.config.schema.schedule import (
    ConstantScheduleConfig as ConstantScheduleConfig,
    CosineScheduleConfig as CosineScheduleConfig,
    ExponentialScheduleConfig as ExponentialScheduleConfig,
    OneCycleScheduleConfig as OneCycleScheduleConfig,
    PlateauScheduleConfig as PlateauScheduleConfig,
    ScheduleConfig as ScheduleConfig,
    StepScheduleConfig as StepScheduleConfig,
)
from pipelines.config.schema.stopping import (
    EarlyStoppingConfig as EarlyStoppingConfig,
    HalvingConfig as HalvingConfig,
    NoStoppingConfig as NoStoppingConfig,
    StoppingConfig as StoppingConfig,
)
from pipelines.config.schema.task import (
    LOSSES_OF as LOSSES_OF,
    METRICS_OF as METRICS_OF,
    LossName as LossName,
    MetricName as MetricName,
    TaskConfig as TaskConfig,
    TaskKind as TaskKind,
)
from pipelines.config.schema.trial import TrialConfig as TrialConfig
