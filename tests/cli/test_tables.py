import io

from rich.console import Console

from convlstm_cli.cli.tables import plain_table


def test_a_name_is_whole_where_the_terminal_is_narrow() -> None:
    table = plain_table("video", "frames", "values")
    for name in ("recording_of_the_north_camera_1.mp4", "recording_of_the_north_camera_2.mp4"):
        table.add_row(name, "40", "float32, 0 to 30")
    shown = io.StringIO()
    Console(file=shown, width=40).print(table)
    assert "…" not in shown.getvalue()
    names = "".join(line.split(" ")[0] for line in shown.getvalue().splitlines())
    assert "camera_1.mp4" in names
    assert "camera_2.mp4" in names
