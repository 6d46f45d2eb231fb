def hit(output, expected):
    return any(name in expected["expected_output"] for name in output)
