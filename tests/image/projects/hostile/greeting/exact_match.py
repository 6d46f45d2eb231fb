"""Whether the output is the expected one."""


def exact_match(output, expected):
    return output == expected["expected_output"]
