#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace qconv::native::test {

// What a test file is made of:
//   const Test kName("what it shows", [] { CHECK_EQUAL(value, expected); });
//   int main() { return run_tests(); }
// A check that fails prints its values and goes on.

struct Registered {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Registered>& registered_tests() {
  static std::vector<Registered> tests;
  return tests;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Test {
  Test(const char* name, std::function<void()> body) { registered_tests().push_back({name, body}); }
};

template <typename Value>
std::string shown(const Value& value) {
  std::ostringstream stream;
  if constexpr (sizeof(Value) == 1) {
    stream << static_cast<int>(value);
  } else {
    stream << value;
  }
  return stream.str();
}

inline void report(const char* file, int line, const std::string& what) {
  if (++failures() <= 50) {
    std::printf("  %s:%d: %s\n", file, line, what.c_str());
  }
}

template <typename Value, typename Expected>
void check_equal(
    const char* file, int line, const char* text, const Value& value, const Expected& expected,
    const std::string& context = "") {
  if (!(value == expected)) {
    std::ostringstream what;
    what << text << " is " << shown(value) << ", expected " << shown(expected) << "; " << context;
    report(file, line, what.str());
  }
}

// The text of the std::invalid_argument that `body` raises.
template <typename Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

inline void check_contains(
    const char* file, int line, const std::string& text, const std::string& part) {
  if (text.find(part) == std::string::npos) {
    std::ostringstream what;
    what << "expected a text with '" << part << "', got '" << text << "'";
    report(file, line, what.str());
  }
}

inline int run_tests() {
  for (const Registered& test : registered_tests()) {
    const int before = failures();
    try {
      test.body();
    } catch (const std::exception& error) {
      report(test.name, 0, std::string("raised ") + error.what());
    }
    std::printf("%s: %s\n", failures() == before ? "passed" : "FAILED", test.name);
  }
  return failures() == 0 ? 0 : 1;
}

// An optional last argument says which case it was.
#define CHECK(condition) CHECK_EQUAL(static_cast<bool>(condition), true)
#define CHECK_EQUAL(value, ...) \
  ::qconv::native::test::check_equal(__FILE__, __LINE__, #value, value, __VA_ARGS__)
#define CHECK_CONTAINS(text, part) \
  ::qconv::native::test::check_contains(__FILE__, __LINE__, text, part)

}  // namespace qconv::native::test
