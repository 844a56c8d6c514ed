"""README.md of the folder of an exported network."""

from jinja2 import Environment, PackageLoader

from convlstm_cli.interop.manifest import Manifest


def render_readme(manifest: Manifest) -> str:
    """The text for whoever receives the folder, in Markdown."""
    environment = Environment(
        loader=PackageLoader("convlstm_cli.interop"), autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("export.md").render(
        network=manifest.network,
        run=manifest.run,
        parameters=manifest.parameters,
        values=manifest.frames.values,
        values_rule=manifest.frames.values_rule,
        fit=manifest.frames.fit_rule,
        mask=manifest.frames.mask_rule,
        missing=manifest.frames.missing,
        guides=[guide.title for guide in manifest.frames.guides],
        resize=manifest.frames.resize_rule,
        onnx=manifest.programs.get("onnx"),
        torch=manifest.programs.get("torch"),
    )
