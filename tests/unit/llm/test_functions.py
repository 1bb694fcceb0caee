"""Functions as tools."""

from perdure.llm import Function, ToolCall, arguments_of, tool_of


async def get_weather(city: str, days: int = 1) -> str:
    """Get the weather in a city."""
    return f"{city}: sunny for {days} days"


async def test_a_function_is_offered_by_its_name_docstring_and_parameters() -> None:
    function = tool_of(get_weather)["function"]
    assert (function["name"], function["description"]) == ("get_weather", "Get the weather in a city.")
    assert function["parameters"]["required"] == ["city"]


async def test_what_the_model_calls_it_with_becomes_its_arguments() -> None:
    call = ToolCall("call_1", Function("get_weather", '{"city": "Oslo", "days": "3"}'))
    assert await get_weather(**arguments_of(get_weather, call)) == "Oslo: sunny for 3 days"
