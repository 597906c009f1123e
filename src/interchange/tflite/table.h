#pragma once
#include <flatbuffers/flatbuffers.h>
#include "interchange/tflite/schema.h"

// A FlatBuffers table read and verified by the ids of its fields, without generated code.
namespace miniten::tflite_schema {

class Table : private flatbuffers::Table {
 public:
  template <class T> T number(int field, T otherwise = T()) const { return GetField<T>(at(field), otherwise); }
  bool boolean(int field, bool otherwise = false) const { return number<uint8_t>(field, otherwise) != 0; }
  bool has(int field) const { return CheckField(at(field)); }
  const Table* table(int field) const { return GetPointer<const Table*>(at(field)); }            // null: absent
  std::string text(int field) const {
    auto* s = GetPointer<const flatbuffers::String*>(at(field));
    return s ? s->str() : std::string();
  }
  template <class T> std::span<const T> numbers(int field) const {
    auto* v = GetPointer<const flatbuffers::Vector<T>*>(at(field));
    return v ? std::span<const T>(reinterpret_cast<const T*>(v->Data()), v->size()) : std::span<const T>();
  }
  size_t tables(int field) const {
    auto* v = list(field);
    return v ? v->size() : 0;
  }
  const Table& table(int field, size_t i) const { return *list(field)->Get(flatbuffers::uoffset_t(i)); }

  // ---- verification: each is true where the field is absent ----
  using Verifier = flatbuffers::Verifier;
  using Check = bool (*)(const Table&, Verifier&);
  bool start(Verifier& v) const { return VerifyTableStart(v); }
  template <class T> bool is_number(Verifier& v, int field) const { return VerifyField<T>(v, at(field), sizeof(T)); }
  bool is_text(Verifier& v, int field) const { return VerifyOffset(v, at(field)) && v.VerifyString(GetPointer<const flatbuffers::String*>(at(field))); }
  template <class T> bool is_numbers(Verifier& v, int field) const {
    if (!VerifyOffset(v, at(field))) return false;
    auto* numbers = GetPointer<const flatbuffers::Vector<T>*>(at(field));     // the verifier looks at the alignment of its length alone
    return v.VerifyVector(numbers) && (!numbers || reinterpret_cast<uintptr_t>(numbers->Data()) % alignof(T) == 0);
  }
  bool is_table(Verifier& v, int field, Check check) const {
    if (!VerifyOffset(v, at(field))) return false;
    const Table* t = table(field);
    return !t || check(*t, v);
  }
  bool is_tables(Verifier& v, int field, Check check) const {
    if (!VerifyOffset(v, at(field)) || !v.VerifyVector(list(field))) return false;
    for (size_t i = 0, n = tables(field); i < n; ++i) {
      auto* offset = reinterpret_cast<const uint8_t*>(list(field)->Data()) + i * sizeof(flatbuffers::uoffset_t);
      if (!v.VerifyOffset(offset, 0) || !check(table(field, i), v)) return false;
    }
    return true;
  }
  bool Verify(Verifier& v) const;                                // as the root: a whole model

 private:
  static flatbuffers::voffset_t at(int field) { return flatbuffers::FieldIndexToOffset(flatbuffers::voffset_t(field)); }
  const flatbuffers::Vector<flatbuffers::Offset<Table>>* list(int field) const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<Table>>*>(at(field));
  }
};

// The model that bytes hold, everything inside them, or null. The bytes must be 16-byte aligned.
const Table* verified(std::span<const std::byte>);

}  // namespace miniten::tflite_schema
