"""Models of an AIB image template and of the gallery resources beside it."""

from templates.model.base import Model, SecretRef, Step, StepExtensions
from templates.model.distribute import (
    Distribute,
    Distributor,
    LatestVersioning,
    ManagedImageDistributor,
    SharedImageDistributor,
    SourceVersioning,
    TargetRegion,
    VhdDistributor,
)
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition
from templates.model.image_template import ErrorHandling, ImageTemplate, Properties, Validate, VmProfile
from templates.model.source import (
    ManagedImageSource,
    PlanInfo,
    PlatformImageSource,
    SharedImageVersionSource,
    Source,
)
from templates.model.steps import (
    Customizer,
    ExtensionStep,
    FileStep,
    LinuxRestartStep,
    PowerShellStep,
    ScriptStep,
    ShellStep,
    Validator,
    WindowsRestartStep,
    WindowsUpdateStep,
)

__all__ = [
    "Customizer",
    "DefinitionProperties",
    "Distribute",
    "Distributor",
    "ErrorHandling",
    "ExtensionStep",
    "FileStep",
    "Gallery",
    "Identifier",
    "ImageDefinition",
    "ImageTemplate",
    "LatestVersioning",
    "LinuxRestartStep",
    "ManagedImageDistributor",
    "ManagedImageSource",
    "Model",
    "PlanInfo",
    "PlatformImageSource",
    "PowerShellStep",
    "Properties",
    "ScriptStep",
    "SecretRef",
    "SharedImageDistributor",
    "SharedImageVersionSource",
    "ShellStep",
    "Source",
    "SourceVersioning",
    "Step",
    "StepExtensions",
    "TargetRegion",
    "Validate",
    "Validator",
    "VhdDistributor",
    "VmProfile",
    "WindowsRestartStep",
    "WindowsUpdateStep",
]
